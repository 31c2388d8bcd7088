package dev.isobit.cuda;

import org.jspecify.annotations.Nullable;

/**
 * A CUDA device as the driver describes it, and whether Isobit can use it. Immutable.
 *
 * @param ordinal its number in this process, from 0
 * @param name its name
 * @param major compute capability, major
 * @param minor compute capability, minor
 * @param multiprocessors number of multiprocessors
 * @param sharedBytesPerBlock shared memory that a block can ask for, in bytes
 * @param memoryBytes device memory, in bytes
 * @param ptx the target of the PTX chosen for it, such as {@code sm_90}; null where none fits
 * @param problem why it cannot be used; null where it can
 */
public record CudaDevice(int ordinal, String name, int major, int minor, int multiprocessors, int sharedBytesPerBlock,
        long memoryBytes, @Nullable String ptx, @Nullable String problem) {
    /** The oldest compute capability for which there is PTX, times ten. */
    static final int OLDEST_CAPABILITY = 75;

    /**
     * Compute capability as one number.
     *
     * @return ten times the major plus the minor number: 90 for 9.0
     */
    public int capability() {
        return major * 10 + minor;
    }

    /**
     * The PTX for a compute capability: from 9.0 on the one with Hopper's instructions, else the one for everybody.
     *
     * @return a target, or null where the device is too old
     */
    static @Nullable String ptxFor(int capability) {
        return capability >= 90 ? "sm_90" : capability >= OLDEST_CAPABILITY ? "sm_75" : null;
    }

    @Override
    public String toString() {
        String text = "device " + ordinal + ": " + name + ", sm_" + capability() + ", " + multiprocessors
                + " multiprocessors, " + (memoryBytes >> 20) + " MiB";
        return text + (problem != null ? ": " + problem : ", PTX " + ptx);
    }
}
