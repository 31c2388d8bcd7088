package dev.isobit.sim;

/** Ends a function of the driver with a result. Never leaves this package: whatever called gets the number. */
final class DriverError extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** The result. */
    private final Result result;

    DriverError(Result result) {
        super(result.symbol(), null, false, false);
        this.result = result;
    }

    Result result() {
        return result;
    }

    /** Throws this result unless a condition holds. */
    static void unless(boolean condition, Result result) {
        if (!condition) {
            throw new DriverError(result);
        }
    }
}
