/**
 * A simulated CUDA driver: the backend {@code sim} is the {@code cuda} backend, with its JCuda, its argument blocks and
 * the PTX that is shipped, over a {@code libcuda.so.1} whose functions are written in Java and run kernels on
 * {@link dev.isobit.ptx.Device}. No GPU is needed, and the bits are a GPU's.
 *
 * <p>A process has one {@code libcuda.so.1}, so that {@code sim} and {@code cuda} exclude each other in a JVM.
 */
@NullMarked
package dev.isobit.sim;

import org.jspecify.annotations.NullMarked;
