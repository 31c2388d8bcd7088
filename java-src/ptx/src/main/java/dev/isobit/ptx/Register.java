package dev.isobit.ptx;

/** A declared register: its type, and its number among the registers of its function. */
record Register(String name, Type type, int number) {
    @Override
    public String toString() {
        return name;
    }
}
