package dev.isobit.cpu;

/**
 * 128 bytes before the fields of a subclass: two cache lines, which processors fetch as a pair. Where the collector puts
 * objects that two workers write at each row side by side, both would wait for the same line all the time; so what is
 * written at each row has this before its fields and as much behind them, which takes a subclass with fields of its own.
 */
@SuppressWarnings("unused")
abstract class LinesBefore {
    /** Elements of four bytes that are left out at both ends of a small array, for the same reason. */
    static final int IN_ARRAY = 32;

    /** Takes the four bytes behind the object's header, where the JVM would put a field of the subclass. */
    private int header;

    private long before0, before1, before2, before3, before4, before5, before6, before7;
    private long before8, before9, before10, before11, before12, before13, before14, before15;
}
