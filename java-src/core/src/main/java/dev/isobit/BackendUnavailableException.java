package dev.isobit;

/** The backend asked for cannot run here; the message says why and what is missing. */
public final class BackendUnavailableException extends IsobitException {
    private static final long serialVersionUID = 1;

    /**
     * Makes an exception.
     *
     * @param message the backend's name and the reason
     */
    public BackendUnavailableException(String message) {
        super(message);
    }
}
