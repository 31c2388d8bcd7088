package dev.isobit.bench;

/**
 * One side of a comparison.
 *
 * @param name for the report
 * @param bytes that one run has to move
 * @param elements that one run works on
 * @param run the work
 */
record Side(String name, long bytes, long elements, Runnable run) {}
