package dev.isobit;

/**
 * How a backend is opened; immutable. A backend ignores what does not concern it.
 *
 * @param threads number of threads of a CPU backend, the caller's included; at least 1
 * @param deviceOrdinal which device of a GPU backend, from 0
 */
public record BackendOptions(int threads, int deviceOrdinal) {
    /** Checks the ranges. */
    public BackendOptions {
        if (threads < 1) {
            throw new IllegalArgumentException("backend: threads = " + threads + " is not at least 1");
        }
        if (deviceOrdinal < 0) {
            throw new IllegalArgumentException("backend: deviceOrdinal = " + deviceOrdinal + " is negative");
        }
    }

    /**
     * One thread per processor (system property {@code isobit.threads} overrides), device 0.
     *
     * @return default options
     */
    public static BackendOptions defaults() {
        return new BackendOptions(Integer.getInteger("isobit.threads", Runtime.getRuntime().availableProcessors()), 0);
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
