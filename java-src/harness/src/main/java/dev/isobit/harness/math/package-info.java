/** Checks the elementary functions over all floats. */
@NullMarked
package dev.isobit.harness.math;

import org.jspecify.annotations.NullMarked;
