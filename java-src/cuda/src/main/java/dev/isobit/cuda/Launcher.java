package dev.isobit.cuda;

/**
 * Launches kernels on one stream with one argument block. It allocates nothing and waits for nothing. An implementation
 * makes the context current in the same call. {@link LaunchMethod} makes them.
 */
interface Launcher {
    /**
     * Queues one launch with what the argument block holds now.
     *
     * @param function the kernel
     * @param grid blocks, at least 1, in one dimension
     * @param block threads of a block, in one dimension
     * @param sharedBytes dynamic shared memory of a block
     * @return the driver's result
     */
    int launch(CudaFunction function, int grid, int block, int sharedBytes);

    /**
     * As {@link #launch}, where all blocks run at once, so that they may wait for each other.
     *
     * @param grid no more blocks than run at once
     */
    int launchCooperative(CudaFunction function, int grid, int block);
}
