/**
 * Numerical regression tests: {@link dev.isobit.junit.GoldenTrace} compares a training run with one that was recorded, bit
 * by bit; {@link dev.isobit.junit.BackendsAgree} compares what the backends here make of the same data.
 */
@NullMarked
package dev.isobit.junit;

import org.jspecify.annotations.NullMarked;
