/** Optimizer state on disk: {@link dev.isobit.state.OptimizerState}. */
@NullMarked
package dev.isobit.state;

import org.jspecify.annotations.NullMarked;
