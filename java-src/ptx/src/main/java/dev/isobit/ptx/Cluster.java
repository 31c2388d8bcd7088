package dev.isobit.ptx;

/** Blocks that run together and can reach each other's shared memory; a block without a cluster is one of its own. */
final class Cluster {
    final Block[] blocks;
    private long phase;
    private long live;
    private long arrived;
    /** What the sanitizer knows of the threads that have arrived, now and in the phase before. */
    private Knowledge arriving;
    private Knowledge completed;

    Cluster(Block[] blocks) {
        this.blocks = blocks;
    }

    /** Starts the blocks of cluster number {@code index}. */
    void start(long index) {
        Launch launch = blocks[0].grid.launch;
        Dim3 shape = launch.cluster();
        Dim3 grid = launch.grid();
        int[] at = new Dim3(grid.x() / shape.x(), grid.y() / shape.y(), grid.z() / shape.z()).position(index);
        phase = 0;
        arrived = 0;
        arriving = null;
        completed = null;
        live = launch.block().size() * blocks.length;
        for (int rank = 0; rank < blocks.length; rank++) {
            int[] in = shape.position(rank);
            blocks[rank].start(this, rank, new int[] {at[0] * shape.x() + in[0], at[1] * shape.y() + in[1],
                at[2] * shape.z() + in[2]});
        }
    }

    boolean isDone() {
        for (Block block : blocks) {
            if (!block.isDone()) {
                return false;
            }
        }
        return true;
    }

    /** Threads arrive at the cluster barrier. */
    void arrive(Warp warp, int mask, boolean relaxed) {
        Sanitizer sanitizer = blocks[0].grid.sanitizer;
        if (sanitizer != null && !relaxed) {
            arriving = sanitizer.clusterArrive(warp, mask, arriving);
        }
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            if (warp.clusterPhase[lane] == phase) {
                throw warp.fault(DeviceFault.Kind.UNDEFINED, lane, 0,
                        "barrier.cluster.arrive twice without a wait between");
            }
            warp.clusterPhase[lane] = phase;
            arrived++;
        }
        completeIfFull();
    }

    /** Whether the phase that these threads arrived in is complete. */
    boolean isPast(Warp warp, int mask) {
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            if (warp.clusterPhase[lane] < 0) {
                throw warp.fault(DeviceFault.Kind.UNDEFINED, lane, 0, "barrier.cluster.wait without an arrive");
            }
            if (warp.clusterPhase[lane] == phase) {
                return false;
            }
        }
        return true;
    }

    /** Threads go on after the barrier. */
    void learn(Warp warp, int mask) {
        if (completed != null) {
            blocks[0].grid.sanitizer.clusterWait(warp, mask, completed);
        }
    }

    void exited(Warp warp, int mask) {
        for (int m = mask; m != 0; m &= m - 1) {
            live--;
            if (warp.clusterPhase[Integer.numberOfTrailingZeros(m)] == phase) {
                arrived--;
            }
        }
        completeIfFull();
    }

    private void completeIfFull() {
        blocks[0].grid.changed();
        if (arrived == 0 || arrived < live) {
            return;
        }
        arrived = 0;
        completed = arriving;
        arriving = null;
        phase++;
        for (Block block : blocks) {
            for (Warp warp : block.warps) {
                for (Fragment leaf : warp.leaves()) {
                    if (leaf.wait == Fragment.Wait.CLUSTER) {
                        leaf.wait = Fragment.Wait.NONE;
                    }
                }
            }
        }
    }
}
