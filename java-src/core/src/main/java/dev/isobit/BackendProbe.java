package dev.isobit;

/**
 * Whether a backend runs here.
 *
 * @param name the backend's name
 * @param available whether it can be opened, as far as looking can tell
 * @param detail what was found, or why it is not available and what is missing
 */
public record BackendProbe(String name, boolean available, String detail) {}
