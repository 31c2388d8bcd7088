package dev.isobit.ptx;

/** A declared register: its type, and its place among the registers of the same file in its function. */
record Register(String name, Type type, int index) {
    @Override
    public String toString() {
        return name;
    }
}
