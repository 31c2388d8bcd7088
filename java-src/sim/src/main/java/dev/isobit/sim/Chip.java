package dev.isobit.sim;

import java.util.List;
import java.util.stream.Collectors;

/**
 * What a simulated device says of itself. Immutable.
 *
 * @param major compute capability, major
 * @param minor compute capability, minor
 * @param multiprocessors number of multiprocessors
 * @param sharedBytesPerBlock the most shared memory that a block can ask for, in bytes
 * @param sharedBytesPerMultiprocessor shared memory of a multiprocessor, in bytes
 * @param threadsPerMultiprocessor the most threads that a multiprocessor runs at once
 * @param clusters whether it has clusters of blocks
 */
public record Chip(int major, int minor, int multiprocessors, int sharedBytesPerBlock,
        int sharedBytesPerMultiprocessor, int threadsPerMultiprocessor, boolean clusters) {
    /** Dynamic shared memory that a kernel may have unasked. */
    static final int SHARED_BYTES_UNASKED = 48 << 10;

    private static final int RESERVED_SHARED_BYTES = 1 << 10;
    private static final int BLOCKS_PER_MULTIPROCESSOR = 16;
    private static final int REGISTERS = 65536;
    private static final int KILOHERTZ = 1_500_000;

    /** One chip of each generation that the shipped PTX treats in a way of its own; multiprocessors as of a small one. */
    private static final List<Chip> KNOWN = List.of(new Chip(7, 5, 40, 64 << 10, 64 << 10, 1024, false),
            new Chip(8, 6, 28, 99 << 10, 100 << 10, 1536, false), new Chip(9, 0, 132, 227 << 10, 228 << 10, 2048, true),
            new Chip(12, 0, 36, 99 << 10, 100 << 10, 1536, true));

    /** Checks the ranges. */
    public Chip {
        if (multiprocessors < 1) {
            throw new IllegalArgumentException("multiprocessors = " + multiprocessors + " is not at least 1");
        }
    }

    /**
     * A chip by its target.
     *
     * @param target {@code sm_75}, {@code sm_86}, {@code sm_90} or {@code sm_120}
     * @return the chip
     * @throws IllegalArgumentException if there is no such chip here; the message lists those there are
     */
    public static Chip of(String target) {
        return KNOWN.stream().filter(chip -> chip.target().equals(target)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no chip \"" + target + "\"; there are "
                        + KNOWN.stream().map(Chip::target).collect(Collectors.joining(", "))));
    }

    /**
     * A copy with another number of multiprocessors.
     *
     * @param multiprocessors at least 1
     * @return the changed chip
     */
    public Chip withMultiprocessors(int multiprocessors) {
        return new Chip(major, minor, multiprocessors, sharedBytesPerBlock, sharedBytesPerMultiprocessor,
                threadsPerMultiprocessor, clusters);
    }

    /**
     * Compute capability as PTX has it.
     *
     * @return such as {@code sm_90}
     */
    public String target() {
        return "sm_" + capability();
    }

    int capability() {
        return 10 * major + minor;
    }

    /** How many blocks of a kernel a multiprocessor runs at once, as far as threads and shared memory decide it. */
    long residentBlocks(long threads, long sharedBytes) {
        long byThreads = threadsPerMultiprocessor / ((threads + 31) / 32 * 32);
        long byShared = sharedBytesPerMultiprocessor / (sharedBytes + RESERVED_SHARED_BYTES);
        return Math.min(BLOCKS_PER_MULTIPROCESSOR, Math.min(byThreads, byShared));
    }

    /** An attribute by its number in the driver's interface. */
    int attribute(int number) {
        return switch (number) {
            case 1, 2, 3 -> 1024; // MAX_THREADS_PER_BLOCK, MAX_BLOCK_DIM_X, _Y
            case 4 -> 64; // MAX_BLOCK_DIM_Z
            case 5 -> Integer.MAX_VALUE; // MAX_GRID_DIM_X
            case 6, 7 -> 65535; // MAX_GRID_DIM_Y, _Z
            case 8 -> SHARED_BYTES_UNASKED; // MAX_SHARED_MEMORY_PER_BLOCK
            case 9 -> 65536; // TOTAL_CONSTANT_MEMORY
            case 10 -> 32; // WARP_SIZE
            case 12, 82 -> REGISTERS; // MAX_REGISTERS_PER_BLOCK, _PER_MULTIPROCESSOR
            case 13, 36 -> KILOHERTZ; // CLOCK_RATE, MEMORY_CLOCK_RATE
            case 16 -> multiprocessors; // MULTIPROCESSOR_COUNT
            case 17, 18, 20, 32 -> 0; // KERNEL_EXEC_TIMEOUT, INTEGRATED, COMPUTE_MODE, ECC_ENABLED
            case 31, 40, 41, 95 -> 1; // CONCURRENT_KERNELS, ASYNC_ENGINE_COUNT, UNIFIED_ADDRESSING, COOPERATIVE_LAUNCH
            case 39 -> threadsPerMultiprocessor; // MAX_THREADS_PER_MULTIPROCESSOR
            case 75 -> major; // COMPUTE_CAPABILITY_MAJOR
            case 76 -> minor; // COMPUTE_CAPABILITY_MINOR
            case 81 -> sharedBytesPerMultiprocessor; // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
            case 97 -> sharedBytesPerBlock; // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
            case 106 -> BLOCKS_PER_MULTIPROCESSOR; // MAX_BLOCKS_PER_MULTIPROCESSOR
            case 111 -> RESERVED_SHARED_BYTES; // RESERVED_SHARED_MEMORY_PER_BLOCK
            case 120 -> clusters ? 1 : 0; // CLUSTER_LAUNCH
            default -> throw new DriverError(Result.NOT_SUPPORTED);
        };
    }
}
