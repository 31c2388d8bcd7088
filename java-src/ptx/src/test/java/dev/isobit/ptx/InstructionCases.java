package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.fail;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs single instructions on many inputs, one thread each, and compares with a definition. All instructions of one
 * set are entries of one module, so that the assembler has to be asked once.
 *
 * <p>In an instruction's text the operands are {@code %d} (result), {@code %a}, {@code %b}, {@code %c}, {@code %e};
 * predicates are {@code %pd} and {@code %pa}, {@code %pb}, ... in the same order.
 */
final class InstructionCases {
    /** What the definition says, on zero-extended bits. */
    @FunctionalInterface
    interface Definition {
        long apply(long[] in);
    }

    private record Case(String text, Type result, List<Type> operands, Definition definition, long[][] inputs) {}

    private static final String NAMES = "abce";

    private final List<Case> cases = new ArrayList<>();
    private final String target;

    InstructionCases(String target) {
        this.target = target;
    }

    /** Adds an instruction; {@code inputs} has one row per thread. */
    void add(String text, Type result, List<Type> operands, long[][] inputs, Definition definition) {
        cases.add(new Case(text, result, operands, definition, inputs));
    }

    /** Runs everything; fails with the first difference of each instruction. */
    void check() {
        StringBuilder module = new StringBuilder(".version 8.3\n.target " + target + "\n.address_size 64\n");
        for (int i = 0; i < cases.size(); i++) {
            entry(module, "k" + i, cases.get(i));
        }
        PtxModule parsed = Assembler.load(module.toString());
        List<String> wrong = new ArrayList<>();
        try (Device device = new Device()) {
            for (int i = 0; i < cases.size(); i++) {
                run(device, parsed.entry("k" + i), cases.get(i), wrong);
            }
        }
        if (!wrong.isEmpty()) {
            fail(wrong.size() + " of " + cases.size() + " instructions differ:\n"
                    + String.join("\n", wrong.subList(0, Math.min(40, wrong.size()))));
        }
    }

    private static void entry(StringBuilder out, String name, Case c) {
        out.append(".visible .entry ").append(name).append("(.param .u64 in, .param .u64 out, .param .u32 n)\n{\n");
        out.append("  .reg .pred %stop;\n  .reg .b32 %i, %n, %bit;\n  .reg .b64 %x, %y, %o;\n");
        declare(out, 'd', c.result);
        for (int k = 0; k < c.operands.size(); k++) {
            declare(out, NAMES.charAt(k), c.operands.get(k));
        }
        out.append("""
                  ld.param.u64 %x, [in];
                  ld.param.u64 %y, [out];
                  ld.param.u32 %n, [n];
                  mov.u32 %i, %ctaid.x;
                  mov.u32 %bit, %ntid.x;
                  mul.lo.u32 %i, %i, %bit;
                  mov.u32 %bit, %tid.x;
                  add.u32 %i, %i, %bit;
                  setp.ge.u32 %stop, %i, %n;
                  @%stop bra END;
                """);
        int operands = c.operands.size();
        out.append("  mul.wide.u32 %o, %i, ").append(8 * operands).append(";\n  add.u64 %x, %x, %o;\n");
        out.append("  mul.wide.u32 %o, %i, 8;\n  add.u64 %y, %y, %o;\n");
        for (int k = 0; k < operands; k++) {
            Type type = c.operands.get(k);
            char r = NAMES.charAt(k);
            if (type == Type.PRED) {
                out.append("  ld.global.u32 %bit, [%x+").append(8 * k).append("];\n  setp.ne.u32 %p").append(r)
                        .append(", %bit, 0;\n");
            } else {
                out.append("  ld.global.b").append(type.bits).append(" %").append(r).append(", [%x+").append(8 * k)
                        .append("];\n");
            }
        }
        out.append("  ").append(c.text).append(c.text.startsWith("{") ? "\n" : ";\n");
        if (c.result == Type.PRED) {
            out.append("  selp.u32 %bit, 1, 0, %pd;\n  st.global.u32 [%y], %bit;\n");
        } else {
            out.append("  st.global.b").append(c.result.bits).append(" [%y], %d;\n");
        }
        out.append("END:\n  ret;\n}\n");
    }

    private static void declare(StringBuilder out, char name, Type type) {
        out.append("  .reg ").append(type == Type.PRED ? ".pred %p" : ".b" + type.bits + " %").append(name)
                .append(";\n");
    }

    private static void run(Device device, Entry entry, Case c, List<String> wrong) {
        int n = c.inputs.length;
        int operands = c.operands.size();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment in = arena.allocate(Math.max(8, 8L * n * operands), 8);
            MemorySegment out = arena.allocate(8L * n, 8);
            for (int i = 0; i < n; i++) {
                for (int k = 0; k < operands; k++) {
                    in.setAtIndex(ValueLayout.JAVA_LONG, (long) i * operands + k, c.inputs[i][k]);
                }
            }
            long inAddress = device.map(in);
            long outAddress = device.map(out);
            MemorySegment arguments = arena.allocate(24, 8);
            arguments.set(ValueLayout.JAVA_LONG, 0, inAddress);
            arguments.set(ValueLayout.JAVA_LONG, 8, outAddress);
            arguments.set(ValueLayout.JAVA_INT, 16, n);
            device.launch(entry, Launch.of((n + 127) / 128, 128), arguments);
            device.free(inAddress);
            device.free(outAddress);
            for (int i = 0; i < n; i++) {
                long got = out.getAtIndex(ValueLayout.JAVA_LONG, i);
                long expected = truncate(c.definition.apply(c.inputs[i]), c.result.bits);
                if (got != expected) {
                    StringBuilder text = new StringBuilder(c.text).append(" on");
                    for (int k = 0; k < operands; k++) {
                        text.append(String.format(" 0x%x", truncate(c.inputs[i][k], c.operands.get(k).bits)));
                    }
                    wrong.add(text.append(String.format(": 0x%x, defined as 0x%x", got, expected)).toString());
                    return;
                }
            }
        }
    }

    static long truncate(long value, int bits) {
        return bits >= 64 ? value : value & (1L << bits) - 1;
    }
}
