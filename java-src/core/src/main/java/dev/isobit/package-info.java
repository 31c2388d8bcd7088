/**
 * Fused loss and optimizer kernels: the types that a user sees.
 *
 * <p>Start with {@link dev.isobit.Backend#best()}, {@link dev.isobit.CrossEntropy} and {@link dev.isobit.Adam}.
 */
@NullMarked
package dev.isobit;

import org.jspecify.annotations.NullMarked;
