package dev.isobit.ptx;

import java.util.List;

/**
 * A declared variable or parameter. Where it lies is decided per program: see {@link Program#offsets};
 * a global variable gets its address when its module is loaded on a device.
 */
final class Variable {
    /** A word of an initialiser that is the address of another variable. */
    record Relocation(int at, int bytes, Variable target, long addend, boolean generic) {}

    final String name;
    final Space space;
    final Type type;
    final int align;
    /** Size in bytes; 0 for an array without a size, which is dynamic shared memory. */
    final long size;
    final boolean unsized;
    final int line;
    /** Initial bytes, or null where the declaration has none. */
    byte[] initial;
    List<Relocation> relocations = List.of();

    Variable(String name, Space space, Type type, int align, long size, boolean unsized, int line) {
        this.name = name;
        this.space = space;
        this.type = type;
        this.align = align;
        this.size = size;
        this.unsized = unsized;
        this.line = line;
    }

    @Override
    public String toString() {
        return name;
    }
}
