package dev.isobit.cuda;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What was found of CUDA on this machine, and what exactly is missing. Immutable.
 *
 * @param library the driver's library that was loaded; null where none was
 * @param driverVersion the CUDA version that the driver supports, as the driver tells it: 12060 for 12.6; 0 if unknown
 * @param devices the devices, in the driver's order
 * @param problems what stands in the way, each with what to do about it; empty where at least one device can be used
 * @param warnings what does not stand in the way but should be seen to
 */
public record CudaFinding(@Nullable String library, int driverVersion, List<CudaDevice> devices, List<String> problems,
        List<String> warnings) {
    /** Copies the lists. */
    public CudaFinding {
        devices = List.copyOf(devices);
        problems = List.copyOf(problems);
        warnings = List.copyOf(warnings);
    }

    /**
     * Whether a backend can be opened.
     *
     * @return true if nothing is missing and at least one device can be used
     */
    public boolean available() {
        return problems.isEmpty();
    }

    /**
     * The driver's CUDA version for people.
     *
     * @return such as {@code 12.6}
     */
    public String driverVersionText() {
        return versionText(driverVersion);
    }

    static String versionText(int version) {
        return version / 1000 + "." + version % 1000 / 10;
    }

    /**
     * All of it in one line.
     *
     * @return what is there, or what is missing
     */
    public String summary() {
        List<String> parts = new ArrayList<>(problems);
        if (problems.isEmpty()) {
            parts.add("driver of CUDA " + driverVersionText());
            devices.forEach(device -> parts.add(device.toString()));
        }
        warnings.forEach(warning -> parts.add("warning: " + warning));
        return String.join("; ", parts);
    }
}
