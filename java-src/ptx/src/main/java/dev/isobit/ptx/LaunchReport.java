package dev.isobit.ptx;

import java.util.List;
import java.util.Map;

/**
 * What a launch did.
 *
 * @param threadInstructions instructions executed, counted once per thread
 * @param warpInstructions instructions executed, counted once per warp; one that no thread executes does not count
 * @param bytesRead bytes that threads read, per state space (atomics included)
 * @param bytesWritten bytes that threads wrote, per state space (atomics included)
 * @param bytesReadTogether of the bytes of global memory read, those that a thread read by the same instruction at the same
 *     address as the one before it in its warp: a device moves them once
 * @param findings what the sanitizer found; empty on a device that does not watch
 * @param output what the kernel printed with {@code printf}, in order of execution
 */
public record LaunchReport(long threadInstructions, long warpInstructions, Map<Space, Long> bytesRead,
        Map<Space, Long> bytesWritten, long bytesReadTogether, List<Finding> findings, List<String> output) {}
