package dev.isobit.cuda;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * How launches reach the driver. Handles, argument block and results are the same either way; what differs is what a
 * launch costs the host.
 */
public enum LaunchMethod {
    /** Through JCuda, the default. */
    JCUDA("JCuda") {
        @Override
        Launcher launcher(CudaDriver driver, Handles.Stream stream, ArgumentBlock arguments) {
            return new JCudaLauncher(driver, stream, arguments);
        }
    },

    /** Through {@code java.lang.foreign}: a tenth of the cost. */
    FFM("java.lang.foreign") {
        @Override
        Launcher launcher(CudaDriver driver, Handles.Stream stream, ArgumentBlock arguments) {
            return new ForeignLauncher(driver, stream, arguments);
        }
    };

    /** The system property that chooses: {@code jcuda} or {@code ffm}. */
    public static final String PROPERTY = "isobit.cuda.launcher";

    private final String words;

    LaunchMethod(String words) {
        this.words = words;
    }

    abstract Launcher launcher(CudaDriver driver, Handles.Stream stream, ArgumentBlock arguments);

    /** In words, for descriptions. */
    String words() {
        return words;
    }

    private String propertyValue() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * What the system property {@value #PROPERTY} chooses.
     *
     * @return the method; {@link #JCUDA} where the property is not set
     * @throws IllegalArgumentException if its value is none of the methods
     */
    public static LaunchMethod chosen() {
        String value = System.getProperty(PROPERTY, JCUDA.propertyValue());
        return Arrays.stream(values()).filter(method -> method.propertyValue().equals(value)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException(PROPERTY + " = " + value + " is none of "
                        + Arrays.stream(values()).map(LaunchMethod::propertyValue).collect(Collectors.joining(", "))));
    }
}
