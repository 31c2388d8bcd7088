/** Backends, tensors, memory, and the fused operations. */
package dev.isobit;
