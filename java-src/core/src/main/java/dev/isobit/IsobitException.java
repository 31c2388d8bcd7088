package dev.isobit;

/**
 * The root of what this library throws of its own: a device failed, a backend is not there, a value on a device was
 * found wrong. Wrong arguments are {@link IllegalArgumentException}, use after close {@link IllegalStateException},
 * what a backend does not have {@link UnsupportedOperationException}, as everywhere in Java.
 */
public class IsobitException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /**
     * Makes an exception.
     *
     * @param message operation, operand and value
     */
    public IsobitException(String message) {
        super(message);
    }

    /**
     * Makes an exception with a cause.
     *
     * @param message operation, operand and value
     * @param cause what happened below
     */
    public IsobitException(String message, Throwable cause) {
        super(message, cause);
    }
}
