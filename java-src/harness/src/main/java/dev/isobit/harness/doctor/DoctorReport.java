package dev.isobit.harness.doctor;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.isobit.BackendProbe;
import dev.isobit.harness.Machine;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What {@code isobit doctor} found, as its JSON has it.
 *
 * @param format name and version of this form
 * @param gpuUsable whether a GPU can be used: the exit code
 * @param machine this machine
 * @param javaHome where the JVM lies
 * @param findings one per topic, in the order of the output
 * @param backends every backend, best first
 * @param gpu what the CUDA driver says
 */
record DoctorReport(String format, boolean gpuUsable, Machine machine, String javaHome, List<Finding> findings,
        List<BackendProbe> backends, Gpu gpu) {
    static final String FORMAT = "isobit-doctor/1";

    /** How good a finding is. */
    enum State {
        /** As it should be. */
        OK,
        /** It works, but slower or with a warning. */
        SLOW,
        /** It is missing. */
        MISSING
    }

    /**
     * One topic.
     *
     * @param topic what was looked at
     * @param state how good it is
     * @param found what was found
     * @param remedies the exact flag or package for each thing missing; empty if nothing is
     */
    record Finding(String topic, State state, String found, List<String> remedies) {}

    /**
     * The CUDA driver.
     *
     * @param library its file; null if none was loaded
     * @param cudaVersion the newest CUDA that it supports, such as 12.6; null likewise
     * @param devices its devices
     * @param problems what stands in the way
     * @param warnings what does not, but should be seen to
     */
    record Gpu(@JsonInclude(JsonInclude.Include.ALWAYS) @Nullable String library,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable String cudaVersion, List<Device> devices,
            List<String> problems, List<String> warnings) {}

    /**
     * A device.
     *
     * @param ordinal its number, from 0
     * @param name its name
     * @param capability compute capability, such as 9.0
     * @param multiprocessors how many it has
     * @param memoryBytes its memory
     * @param ptx the PTX chosen for it; null if none fits
     * @param problem why it cannot be used; null if it can
     */
    record Device(int ordinal, String name, String capability, int multiprocessors, long memoryBytes,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable String ptx,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable String problem) {}
}
