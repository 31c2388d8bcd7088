package dev.isobit;

/**
 * A class index outside [0, C) that is not the ignore index was found on a device. The loss and gradient of such rows
 * are NaN; nothing was read or written out of bounds. Raised by the next call that synchronises.
 */
public final class TargetOutOfRangeException extends IsobitException {
    private static final long serialVersionUID = 1;
    /** The first bad row. */
    private final long firstRow;
    /** The target there. */
    private final long firstTarget;
    /** How many rows were bad. */
    private final long count;

    /**
     * Makes an exception.
     *
     * @param operation the operation that met the targets
     * @param firstRow the first bad row
     * @param firstTarget the target there
     * @param count how many rows were bad
     */
    public TargetOutOfRangeException(String operation, long firstRow, long firstTarget, long count) {
        super(operation + ": " + count + " target(s) outside [0, classes) and not ignoreIndex, the first " + firstTarget
                + " in row " + firstRow + "; those rows are NaN");
        this.firstRow = firstRow;
        this.firstTarget = firstTarget;
        this.count = count;
    }

    /**
     * The first bad row.
     *
     * @return row index
     */
    public long firstRow() {
        return firstRow;
    }

    /**
     * The target of the first bad row.
     *
     * @return what was taken for a class
     */
    public long firstTarget() {
        return firstTarget;
    }

    /**
     * How many rows were bad.
     *
     * @return number of rows
     */
    public long count() {
        return count;
    }
}
