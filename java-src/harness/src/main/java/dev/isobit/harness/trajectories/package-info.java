/** {@code isobit trajectories}: a picture of what each optimizer does. */
@NullMarked
package dev.isobit.harness.trajectories;

import org.jspecify.annotations.NullMarked;
