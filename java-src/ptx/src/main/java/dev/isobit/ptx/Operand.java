package dev.isobit.ptx;

import java.util.List;

/** An operand as written. */
sealed interface Operand {
    record Reg(Register register) implements Operand {}

    /** A whole number. */
    record Whole(long value) implements Operand {}

    /** A floating-point literal; {@code single} where it was written as {@code 0f...}. */
    record Real(double value, long bits, boolean single) implements Operand {}

    /** The address of a variable, in its own state space. */
    record Symbol(Variable variable, long addend) implements Operand {}

    /** A special register such as {@code tid.x}, without its percent sign. */
    record Special(String name) implements Operand {}

    /** {@code [base + offset]}; the base is a register, a symbol or a whole number. */
    record Address(Operand base, long offset) implements Operand {}

    record Vector(List<Operand> elements) implements Operand {}

    /** {@code d|p}: two results. */
    record Pair(Operand first, Operand second) implements Operand {}

    record Not(Operand operand) implements Operand {}

    /** {@code _}: a result that is thrown away. */
    record Sink() implements Operand {}

    /** A place in the code. */
    record Target(Label label) implements Operand {}

    record FunctionName(String name) implements Operand {}

    /** A parenthesised list in a call. */
    record Tuple(List<Operand> elements) implements Operand {}

    /** A label, known once its scope has been read. */
    final class Label {
        final String name;
        final int line;
        int index = -1;
        /** The labels listed by {@code .branchtargets} under this name, or null. */
        List<Label> table;

        Label(String name, int line) {
            this.name = name;
            this.line = line;
        }
    }
}
