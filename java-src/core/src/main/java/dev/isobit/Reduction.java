package dev.isobit;

/** How row losses become the loss. */
public enum Reduction {
    /** One loss per row. */
    NONE,
    /** The sum of the row losses: one number. */
    SUM,
    /** The sum divided by the denominator, the number of rows that are not ignored: one number. */
    MEAN
}
