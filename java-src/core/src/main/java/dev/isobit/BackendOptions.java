package dev.isobit;

/**
 * How a backend is opened; immutable. A backend ignores what does not concern it.
 *
 * @param threads number of threads of a CPU backend, the caller's included; from 1 to {@value #MAX_THREADS}
 * @param deviceOrdinal which device of a GPU backend, from 0
 */
public record BackendOptions(int threads, int deviceOrdinal) {
    /** More threads than any machine has processors: beyond, a slip of the pen would take the system's threads. */
    public static final int MAX_THREADS = 8192;

    private static final String THREADS_PROPERTY = "isobit.threads";

    /** Checks the ranges. */
    public BackendOptions {
        if (threads < 1 || threads > MAX_THREADS) {
            throw new IllegalArgumentException(
                    "backend: threads = " + threads + " is not from 1 to " + MAX_THREADS);
        }
        if (deviceOrdinal < 0) {
            throw new IllegalArgumentException("backend: deviceOrdinal = " + deviceOrdinal + " is negative");
        }
    }

    /**
     * One thread per processor (system property {@code isobit.threads} overrides), device 0.
     *
     * @return default options
     * @throws IllegalArgumentException if the property is no such number
     */
    public static BackendOptions defaults() {
        String threads = System.getProperty(THREADS_PROPERTY);
        return new BackendOptions(threads == null
                ? Math.min(Runtime.getRuntime().availableProcessors(), MAX_THREADS)
                : parsed(threads), 0);
    }

    private static int parsed(String threads) {
        try {
            return Integer.parseInt(threads.strip());
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("-D" + THREADS_PROPERTY + ": \"" + threads + "\" is no number", e);
        }
    }

    /**
     * A copy with another number of threads.
     *
     * @param threads threads of a CPU backend
     * @return changed options
     */
    public BackendOptions withThreads(int threads) {
        return new BackendOptions(threads, deviceOrdinal);
    }

    /**
     * A copy with another device.
     *
     * @param deviceOrdinal device of a GPU backend
     * @return changed options
     */
    public BackendOptions withDeviceOrdinal(int deviceOrdinal) {
        return new BackendOptions(threads, deviceOrdinal);
    }
}
