package dev.isobit.bench;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** What a side allocates. */
final class Allocation {
    private static final int TURNS = 3;

    private Allocation() {}

    /** Bytes that all threads of the JVM allocate per run: the least of three turns. */
    static double perRun(Side side, int runs) {
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long least = Long.MAX_VALUE;
        for (int turn = 0; turn < TURNS; turn++) {
            threads.getTotalThreadAllocatedBytes();
            long start = threads.getTotalThreadAllocatedBytes();
            long asking = threads.getTotalThreadAllocatedBytes() - start;
            long before = threads.getTotalThreadAllocatedBytes();
            for (int i = 0; i < runs; i++) {
                side.run().run();
            }
            least = Math.min(least, threads.getTotalThreadAllocatedBytes() - before - asking);
        }
        return Math.max(0, least) / (double) runs;
    }
}
