package dev.isobit.ptx;

import java.util.List;

/** A statement being decoded: its suffixes are taken one by one, in order, and its operands become register offsets. */
final class Form {
    final Statement statement;
    final Slots slots;
    private int taken;

    Form(Statement statement, Slots slots) {
        this.statement = statement;
        this.slots = slots;
    }

    /** Takes the next suffix if it is this one. */
    boolean skip(String suffix) {
        if (taken < statement.suffixes().size() && statement.suffixes().get(taken).equals(suffix)) {
            taken++;
            return true;
        }
        return false;
    }

    /** Takes the next suffix if it is one of these, else returns null. */
    String skipAny(String... suffixes) {
        for (String suffix : suffixes) {
            if (skip(suffix)) {
                return suffix;
            }
        }
        return null;
    }

    /** Takes the next suffix, which must be one of these. */
    String one(String... suffixes) {
        String found = skipAny(suffixes);
        if (found == null) {
            throw refusal("expected one of ." + String.join(", .", suffixes)
                    + (taken < statement.suffixes().size() ? ", found ." + statement.suffixes().get(taken) : ""));
        }
        return found;
    }

    /** Takes the next suffix, which must be a type. */
    Type type() {
        Type type = skipType();
        if (type == null) {
            throw refusal(taken < statement.suffixes().size()
                    ? "." + statement.suffixes().get(taken) + " is not supported here"
                    : "no type");
        }
        return type;
    }

    /** Takes the next suffix if it is a type, else returns null. */
    Type skipType() {
        Type type = taken < statement.suffixes().size() ? Type.of(statement.suffixes().get(taken)) : null;
        taken += type == null ? 0 : 1;
        return type;
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
        if (taken < statement.suffixes().size()) {
            throw refusal("modifier ." + statement.suffixes().get(taken) + " is not supported here");
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
