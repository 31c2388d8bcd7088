package dev.isobit.spi;

import dev.isobit.DeviceMemory;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Device memory whose end is counted: whoever has looked at thousands of blocks looks again only once one has ended. A
 * backend that closes memory, or itself, calls {@link #countEnd} as soon as {@link #isAlive} is false.
 *
 * <p>Thread-safe.
 */
public interface CountedMemory extends DeviceMemory {
    /** Says that some memory has ended. */
    static void countEnd() {
        Ends.COUNT.incrementAndGet();
    }

    /**
     * How often memory has ended in this JVM.
     *
     * @return a count; while it stays the same, what was alive is alive
     */
    static long ends() {
        return Ends.COUNT.get();
    }

    /** The count. */
    final class Ends {
        private static final AtomicLong COUNT = new AtomicLong();

        private Ends() {}
    }
}
