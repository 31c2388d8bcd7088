package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.BackendUnavailableException;
import dev.isobit.IsobitException;
import dev.isobit.spi.BackendProvider;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Finds CUDA devices and opens them. The driver's library is {@code libcuda.so.1} as the system's linker finds it, or
 * what the system property {@code isobit.cuda.library} names. A process has one: the first that is loaded stays.
 *
 * <p>Thread-safe.
 */
public final class CudaProvider implements BackendProvider {
    static final String NAME = "cuda";

    /** The system property that names the driver's library. */
    public static final String LIBRARY_PROPERTY = "isobit.cuda.library";

    /**
     * The system property that keeps from cooperative launches where it is {@code false}: a guarded step is three launches
     * then, as where the device has none. It is read when a backend is opened.
     */
    public static final String COOPERATIVE_PROPERTY = "isobit.cuda.cooperative";

    /** CUDA 11.8, which came with drivers R520: the oldest that reads the PTX shipped. */
    static final int OLDEST_DRIVER = 11080;

    private static final int CUDA_ERROR_NO_DEVICE = 100;
    private static final int MULTIPROCESSOR_COUNT = 16;
    private static final int COMPUTE_CAPABILITY_MAJOR = 75;
    private static final int COMPUTE_CAPABILITY_MINOR = 76;
    private static final int MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97;

    private final String name;
    private final @Nullable Path library;

    /** A provider over the system's driver, or the library that the system property names. */
    public CudaProvider() {
        this.name = NAME;
        this.library = null;
    }

    /**
     * A provider over a given driver library.
     *
     * @param name the name of its backend
     * @param library its file, whose soname has to be {@code libcuda.so.1}
     */
    public CudaProvider(String name, Path library) {
        this.name = name;
        this.library = library;
    }

    /**
     * The driver's library that this process has loaded for a backend, if it has.
     *
     * @return a name or path; null before the first look for a driver, and where there was none
     */
    public static @Nullable String loadedLibrary() {
        return CudaLibrary.loadedPath();
    }

    static boolean mayCooperate() {
        String value = System.getProperty(COOPERATIVE_PROPERTY, "true");
        return switch (value) {
            case "true" -> true;
            case "false" -> false;
            default -> throw new IllegalArgumentException(
                    COOPERATIVE_PROPERTY + " = " + value + " is neither true nor false");
        };
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int priority() {
        return 100;
    }

    @Override
    public BackendProbe probe() {
        CudaFinding finding = find();
        return new BackendProbe(name, finding.available(), finding.summary());
    }

    /**
     * Looks for everything that a CUDA backend needs. Touches no class of JCuda; never throws.
     *
     * @return what was found, and what is missing
     */
    public CudaFinding find() {
        List<String> problems = new ArrayList<>();
        List<String> warnings = new ArrayList<>();
        List<CudaDevice> devices = new ArrayList<>();
        String os = System.getProperty("os.name", "");
        String arch = System.getProperty("os.arch", "");
        if (!os.equals("Linux") || !arch.equals("amd64") && !arch.equals("x86_64")) {
            problems.add("CUDA needs Linux on x86-64, this is " + os + " on " + arch);
            return new CudaFinding(null, 0, devices, problems, warnings);
        }
        boolean nativeAccess = CudaProvider.class.getModule().isNativeAccessEnabled();
        if (!nativeAccess) {
            warnings.add("native access is not enabled: start java with --enable-native-access=ALL-UNNAMED");
        }
        String missing = JCudaNatives.missing();
        if (missing != null) {
            problems.add(missing);
        }
        String path = null;
        int version = 0;
        try {
            CudaLibrary cuda = CudaLibrary.load(libraryPath());
            path = cuda.path();
            version = cuda.driverVersion();
            if (version < OLDEST_DRIVER) {
                problems.add("the driver is too old: it supports CUDA " + CudaFinding.versionText(version)
                        + ", CUDA 11.8 (driver R520) or newer is needed");
            }
            String unlinked = CudaLibrary.missing("libstdc++.so.6");
            if (unlinked != null) {
                problems.add("JCuda needs libstdc++.so.6 (Debian, Ubuntu: the package libstdc++6): " + unlinked);
            }
            findDevices(cuda, devices, problems);
        } catch (IsobitException e) {
            problems.add(path == null ? "no CUDA driver: " + e.getMessage() : String.valueOf(e.getMessage()));
        } catch (Exception | LinkageError e) {
            problems.add(nativeAccess
                    ? "the CUDA driver could not be probed: " + e
                    : "native access is denied: start java with --enable-native-access=ALL-UNNAMED (" + e + ")");
        }
        return new CudaFinding(path, version, devices, problems, warnings);
    }

    private @Nullable Path libraryPath() {
        if (library != null) {
            return library;
        }
        String property = System.getProperty(LIBRARY_PROPERTY);
        return property == null || property.isEmpty() ? null : Path.of(property);
    }

    private static void findDevices(CudaLibrary cuda, List<CudaDevice> devices, List<String> problems) {
        int result = cuda.init();
        if (result != 0 && result != CUDA_ERROR_NO_DEVICE) {
            problems.add("the CUDA driver does not start: cuInit: " + cuda.errorName(result) + " (CUDA error " + result
                    + ")");
            return;
        }
        int count = result == CUDA_ERROR_NO_DEVICE ? 0 : cuda.deviceCount();
        if (count == 0) {
            problems.add("the CUDA driver finds no device (is one there, and is CUDA_VISIBLE_DEVICES right?)");
        }
        for (int ordinal = 0; ordinal < count; ordinal++) {
            devices.add(device(cuda, ordinal));
        }
        if (count > 0 && devices.stream().allMatch(device -> device.problem() != null)) {
            problems.add("no device can be used");
            devices.forEach(device -> problems.add(device.toString()));
        }
    }

    private static CudaDevice device(CudaLibrary cuda, int ordinal) {
        int device = cuda.device(ordinal);
        int major = cuda.deviceAttribute(COMPUTE_CAPABILITY_MAJOR, device);
        int minor = cuda.deviceAttribute(COMPUTE_CAPABILITY_MINOR, device);
        String ptx = CudaDevice.ptxFor(major * 10 + minor);
        String problem = null;
        if (ptx == null) {
            problem = "compute capability " + major + "." + minor + " is older than 7.5 (Turing)";
        } else if (CudaProvider.class.getResource(CudaModule.resource("cross_entropy", ptx)) == null) {
            problem = "the PTX for " + ptx + " is not on the class path";
        }
        return new CudaDevice(ordinal, cuda.deviceName(device), major, minor,
                cuda.deviceAttribute(MULTIPROCESSOR_COUNT, device),
                cuda.deviceAttribute(MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, device), cuda.deviceTotalMemory(device), ptx,
                problem);
    }

    /**
     * Opens a device, with the launches that {@link LaunchMethod#chosen} tells.
     *
     * @param options the device's ordinal
     * @return an open backend, the caller's to close
     * @throws BackendUnavailableException if something is missing, or that device cannot be used
     * @throws CudaException if the driver fails
     */
    @Override
    public Backend open(BackendOptions options) {
        return open(options, LaunchMethod.chosen());
    }

    /**
     * Opens a device.
     *
     * @param options the device's ordinal
     * @param launchMethod how launches reach the driver
     * @return an open backend, the caller's to close
     * @throws BackendUnavailableException if something is missing, or that device cannot be used
     * @throws CudaException if the driver fails
     */
    public CudaBackend open(BackendOptions options, LaunchMethod launchMethod) {
        CudaFinding finding = find();
        if (!finding.available()) {
            throw new BackendUnavailableException("backend " + name + " cannot run here: " + finding.summary());
        }
        int ordinal = options.deviceOrdinal();
        if (ordinal >= finding.devices().size()) {
            throw new BackendUnavailableException("backend " + name + " has no device " + ordinal + "; there "
                    + (finding.devices().size() == 1 ? "is device 0" : "are 0 to " + (finding.devices().size() - 1)));
        }
        CudaDevice device = finding.devices().get(ordinal);
        if (device.problem() != null) {
            throw new BackendUnavailableException("backend " + name + " cannot use " + device);
        }
        CudaLibrary cuda = CudaLibrary.load(libraryPath());
        JCudaNatives.load();
        return new CudaBackend(name, cuda, device, launchMethod);
    }
}
