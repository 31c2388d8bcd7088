package dev.isobit;

/**
 * Memory of a device, owned by the backend that allocated it or wrapped from a foreign pointer. Implemented by
 * backends.
 *
 * <p>Threading: may be shared; closing while an operation that uses it is queued is an error of the caller.
 */
public non-sealed interface DeviceMemory extends Memory {
    /**
     * The name of the backend whose device holds the memory, such as {@code cuda}.
     *
     * @return the backend's name
     */
    String backendName();

    /**
     * The device's ordinal within its backend.
     *
     * @return ordinal from 0
     */
    int deviceOrdinal();
}
