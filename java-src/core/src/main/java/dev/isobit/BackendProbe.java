package dev.isobit;

/**
 * Whether a backend runs here.
 *
 * @param name the backend's name
 * @param available whether {@link Backend#open(String)} would succeed
 * @param detail what was found, or why it is not available and what is missing
 */
public record BackendProbe(String name, boolean available, String detail) {}
