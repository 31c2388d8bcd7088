package dev.isobit.spi;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;

/**
 * Offers a backend; found by {@link java.util.ServiceLoader}. Its constructor and {@link #name} must do nothing that
 * can fail; {@link #probe} must never throw.
 */
public interface BackendProvider {
    /**
     * The backend's name.
     *
     * @return a short lower-case word
     */
    String name();

    /**
     * The higher, the earlier {@link Backend#best()} tries it. {@code cuda} 100, {@code cpu} 50, {@code reference} 0;
     * what is below 0 it never comes to.
     *
     * @return priority
     */
    int priority();

    /**
     * Whether the backend runs here. Opens nothing that stays open.
     *
     * @return the finding
     */
    BackendProbe probe();

    /**
     * Opens the backend.
     *
     * @param options threads, device
     * @return an open backend, the caller's to close
     */
    Backend open(BackendOptions options);
}
