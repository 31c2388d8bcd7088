/** Elementary functions with one definition on every device. */
@NullMarked
package dev.isobit.math;

import org.jspecify.annotations.NullMarked;
