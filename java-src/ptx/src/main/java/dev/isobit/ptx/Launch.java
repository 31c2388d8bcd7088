package dev.isobit.ptx;

/**
 * How a kernel is launched. Immutable; made by {@link #of} and changed by the {@code with} methods.
 *
 * @param grid blocks; with clusters a multiple of the cluster in each direction
 * @param block threads of a block, at most 1024
 * @param cluster blocks of a cluster; (1, 1, 1) without clusters
 * @param sharedBytes dynamic shared memory of a block, in bytes
 * @param cooperative whether all blocks run at the same time, so that they may wait for each other
 * @param seed order in which blocks, warps and the two ways of a branch get their turn: 0 is the natural order, any
 *        other number a permutation of its own. A correct kernel's results do not depend on it
 * @param limit most instructions (of one warp each) that the launch may execute, 0 for any number
 */
public record Launch(Dim3 grid, Dim3 block, Dim3 cluster, int sharedBytes, boolean cooperative, long seed,
        long limit) {
    /** Most threads of a block. */
    public static final int MAX_BLOCK = 1024;

    /** Checks the values against each other. */
    public Launch {
        if (block.size() > MAX_BLOCK) {
            throw new IllegalArgumentException("block " + block + " has " + block.size() + " threads, more than "
                    + MAX_BLOCK);
        }
        if (grid.x() % cluster.x() != 0 || grid.y() % cluster.y() != 0 || grid.z() % cluster.z() != 0) {
            throw new IllegalArgumentException("grid " + grid + " is no multiple of cluster " + cluster);
        }
        if (cluster.size() > 16) {
            throw new IllegalArgumentException("cluster " + cluster + " has more than 16 blocks");
        }
        if (sharedBytes < 0 || limit < 0) {
            throw new IllegalArgumentException("negative: sharedBytes " + sharedBytes + ", limit " + limit);
        }
    }

    /**
     * A plain launch in natural order.
     *
     * @param grid blocks
     * @param block threads of a block
     * @return the launch
     */
    public static Launch of(Dim3 grid, Dim3 block) {
        return new Launch(grid, block, Dim3.of(1), 0, false, 0, 0);
    }

    /**
     * A plain launch along one axis.
     *
     * @param blocks number of blocks
     * @param threads threads of a block
     * @return the launch
     */
    public static Launch of(int blocks, int threads) {
        return of(Dim3.of(blocks), Dim3.of(threads));
    }

    /**
     * Changes the clusters.
     *
     * @param shape blocks of a cluster
     * @return the changed launch
     */
    public Launch withCluster(Dim3 shape) {
        return new Launch(grid, block, shape, sharedBytes, cooperative, seed, limit);
    }

    /**
     * Changes the dynamic shared memory.
     *
     * @param bytes of a block
     * @return the changed launch
     */
    public Launch withSharedBytes(int bytes) {
        return new Launch(grid, block, cluster, bytes, cooperative, seed, limit);
    }

    /**
     * Lets all blocks run at the same time, or not.
     *
     * @param all whether they do
     * @return the changed launch
     */
    public Launch withCooperative(boolean all) {
        return new Launch(grid, block, cluster, sharedBytes, all, seed, limit);
    }

    /**
     * Changes the scheduling order.
     *
     * @param order 0 for the natural one, any other number for one of its own
     * @return the changed launch
     */
    public Launch withSeed(long order) {
        return new Launch(grid, block, cluster, sharedBytes, cooperative, order, limit);
    }

    /**
     * Limits the launch.
     *
     * @param instructions most warp instructions, 0 for any number
     * @return the changed launch
     */
    public Launch withLimit(long instructions) {
        return new Launch(grid, block, cluster, sharedBytes, cooperative, seed, instructions);
    }
}
