package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.List;

/**
 * A statement being decoded: its suffixes are taken one by one, and its operands become register offsets. As for the
 * assembler, the order of suffixes does not matter, but for that of types.
 */
final class Form {
    final Statement statement;
    final Slots slots;
    private final List<String> left;

    Form(Statement statement, Slots slots) {
        this.statement = statement;
        this.slots = slots;
        this.left = new ArrayList<>(statement.suffixes());
    }

    /** Takes a suffix if it is there. */
    boolean skip(String suffix) {
        return left.remove(suffix);
    }

    /** Takes one of these suffixes, or returns null. */
    String skipAny(String... suffixes) {
        for (String suffix : suffixes) {
            if (skip(suffix)) {
                return suffix;
            }
        }
        return null;
    }

    /** Takes one of these suffixes, which must be there. */
    String one(String... suffixes) {
        String found = skipAny(suffixes);
        if (found == null) {
            throw refusal("expected one of ." + String.join(", .", suffixes));
        }
        return found;
    }

    /** Takes the next type, which must be there. */
    Type type() {
        for (String suffix : left) {
            Type type = Type.of(suffix);
            if (type != null) {
                left.remove(suffix);
                return type;
            }
        }
        throw refusal(left.isEmpty() ? "no type" : "." + left.getFirst() + " is not supported here");
    }

    /** A rounding mode, or null. */
    Floats.Rounding rounding() {
        String suffix = skipAny("rn", "rz", "rm", "rp");
        return suffix == null ? null : Floats.Rounding.of(suffix);
    }

    /** No suffix may be left; and the statement has this many operands. */
    void end(int operands) {
        endOfSuffixes();
        if (statement.operands().size() != operands) {
            throw refusal("expected " + operands + " operands, found " + statement.operands().size());
        }
    }

    void endOfSuffixes() {
        if (!left.isEmpty()) {
            throw refusal("modifier ." + left.getFirst() + " is not supported here");
        }
    }

    List<Operand> operands() {
        return statement.operands();
    }

    Operand operand(int index) {
        if (index >= statement.operands().size()) {
            throw refusal("operand " + (index + 1) + " is missing");
        }
        return statement.operands().get(index);
    }

    /** Offset of an operand in the register file of its type. */
    int at(int index, Type type) {
        return slots.at(statement, operand(index), type);
    }

    int predicate(int index) {
        return slots.predicate(statement, operand(index));
    }

    PtxSyntaxException refusal(String why) {
        return statement.refusal(why);
    }

    PtxSyntaxException unsupported(Type type) {
        return refusal("type " + type + " is not supported here");
    }

    /** d = f(a), all of one type. */
    Instruction unary(Type type, Lanes lanes) {
        end(2);
        return new LaneOperation(lanes, type.isWide(), at(0, type), at(1, type), 0, 0);
    }

    /** d = f(a, b), all of one type. */
    Instruction binary(Type type, Lanes lanes) {
        end(3);
        return new LaneOperation(lanes, type.isWide(), at(0, type), at(1, type), at(2, type), 0);
    }

    /** d = f(a, b, c), all of one type. */
    Instruction ternary(Type type, Lanes lanes) {
        end(4);
        return new LaneOperation(lanes, type.isWide(), at(0, type), at(1, type), at(2, type), at(3, type));
    }
}
