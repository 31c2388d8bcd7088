package dev.isobit.harness.cases;

/** The library does not have what a case asks for. */
final class UnsupportedCaseException extends Exception {
    private static final long serialVersionUID = 1;

    /** The message is the reason: what is missing, in the words of the case. */
    UnsupportedCaseException(String reason) {
        super(reason);
    }
}
