package dev.isobit.ptx;

/**
 * PTX text that cannot be loaded: malformed, or using an instruction, modifier or type that this interpreter does not
 * execute. The message names the line and what stands there.
 */
public final class PtxSyntaxException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Line of the text. */
    private final int line;

    PtxSyntaxException(int line, String message) {
        super("PTX line " + line + ": " + message);
        this.line = line;
    }

    /** {@return the line of the PTX text, counted from 1} */
    public int line() {
        return line;
    }
}
