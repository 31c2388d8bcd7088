package dev.isobit.harness.sanitize;

import java.util.List;
import java.util.Map;

/**
 * What {@code isobit sanitize} found, as its JSON file has it.
 *
 * @param format name and version of this form
 * @param devices what was simulated, one after the other
 * @param launches how often each kernel ran, by device and kernel
 * @param missed kernels of the PTX that never ran, by device: a grid that leaves one out proves nothing of it
 * @param threadInstructions instructions executed, counted once per thread
 * @param seconds wall-clock time
 * @param findings what kernels did that they must not do
 * @param violations what the driver was asked to do that it must not be asked, and what was left behind
 */
record SanitizeReport(String format, List<String> devices, Map<String, Long> launches, List<String> missed,
        long threadInstructions, double seconds, List<Finding> findings, List<String> violations) {
    static final String FORMAT = "isobit-sanitize/1";

    /**
     * One fault at one instruction.
     *
     * @param device on which
     * @param kind what it is, such as {@code RACE}
     * @param message in words
     * @param kernel name of the entry
     * @param source file and line of the CUDA source, and the line of the PTX
     * @param instruction the instruction
     * @param block index of the first block to do it
     * @param thread index of the first thread to do it
     * @param address the first address, in hexadecimal, in its state space
     * @param other the other access of a race; empty where there is none
     * @param count how often it happened
     */
    record Finding(String device, String kind, String message, String kernel, String source, String instruction,
            String block, String thread, String address, String other, long count) {}

    boolean clean() {
        return findings.isEmpty() && violations.isEmpty() && missed.isEmpty();
    }
}
