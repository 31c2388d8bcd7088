/** The CUDA backend: the driver found and probed, JCuda loaded, memory, streams, and the operations as launches. */
@NullMarked
package dev.isobit.cuda;

import org.jspecify.annotations.NullMarked;
