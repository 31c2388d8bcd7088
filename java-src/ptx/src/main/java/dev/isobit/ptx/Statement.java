package dev.isobit.ptx;

import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;

/** One instruction as written. */
record Statement(SourceLocation location, Register guard, boolean negated, String opcode, List<String> suffixes,
        List<Operand> operands) {
    int line() {
        return location.ptxLine();
    }

    /** Opcode and suffixes joined, as in the text. */
    String mnemonic() {
        return suffixes.isEmpty() ? opcode : opcode + "." + String.join(".", suffixes);
    }

    boolean has(String suffix) {
        return suffixes.contains(suffix);
    }

    /** Whether the first operand is a result. */
    private boolean hasResult() {
        return switch (opcode) {
            case "st", "red", "bra", "brx", "ret", "exit", "trap", "brkpt", "pmevent", "membar", "fence", "prefetch",
                    "prefetchu", "nanosleep", "cp" ->
                false;
            case "bar", "barrier" -> has("red");
            default -> true;
        };
    }

    /** Tells every register that the statement names, and whether it writes it. */
    void registers(BiConsumer<Register, Boolean> told) {
        if (guard != null) {
            told.accept(guard, false);
        }
        for (int i = 0; i < operands.size(); i++) {
            registers(operands.get(i), i == 0 && hasResult(), told);
        }
    }

    private static void registers(Operand operand, boolean written, BiConsumer<Register, Boolean> told) {
        switch (operand) {
            case Operand.Reg reg -> told.accept(reg.register(), written);
            case Operand.Not not -> registers(not.operand(), written, told);
            case Operand.Address address -> registers(address.base(), false, told);
            case Operand.Vector vector -> vector.elements().forEach(e -> registers(e, written, told));
            case Operand.Tuple tuple -> tuple.elements().forEach(e -> registers(e, written, told));
            case Operand.Pair pair -> {
                registers(pair.first(), written, told);
                registers(pair.second(), written, told);
            }
            default -> {
            }
        }
    }

    /** Indices of the statements that may follow this one, which has the given index. */
    int[] successors(int index) {
        boolean guarded = guard != null;
        return switch (opcode) {
            case "bra" -> operands.getFirst() instanceof Operand.Target target
                    ? guarded ? new int[] {target.label().index, index + 1} : new int[] {target.label().index}
                    : new int[] {index + 1};
            case "brx" -> {
                List<Operand.Label> table = operands.getLast() instanceof Operand.Target target
                        ? target.label().table
                        : null;
                int[] all = table == null ? new int[0] : table.stream().mapToInt(label -> label.index).toArray();
                int[] result = Arrays.copyOf(all, all.length + (guarded ? 1 : 0));
                if (guarded) {
                    result[all.length] = index + 1;
                }
                yield result;
            }
            case "ret", "exit" -> guarded ? new int[] {index + 1} : new int[0];
            default -> new int[] {index + 1};
        };
    }

    PtxSyntaxException refusal(String why) {
        return new PtxSyntaxException(line(), mnemonic() + ": " + why);
    }
}
