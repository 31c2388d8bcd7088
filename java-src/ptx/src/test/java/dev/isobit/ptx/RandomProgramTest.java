package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.IntUnaryOperator;
import java.util.function.ToIntFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Random programs with branches in all directions, loops and calls, beside the same in Java, thread by thread. What a
 * thread computes must not depend on the threads beside it, nor on the scheduling order: so wrong masks, meeting points
 * or register places show.
 */
class RandomProgramTest {
    private static final int THREADS = 70;
    private static final int REGISTERS = 9;
    private static final int CARRIED = 12;
    private static final int END = -1;

    /** The registers of one thread. */
    private static final class State {
        final int[] r = new int[REGISTERS];
        final int[] c = new int[CARRIED];
        boolean p;
        int fuel;
    }

    private record Guard(String text, boolean always, boolean negated) {
        boolean holds(State s) {
            return always || s.p != negated;
        }
    }

    /** One basic block in Java. */
    private static final class Block {
        final List<Consumer<State>> statements = new ArrayList<>();
        ToIntFunction<State> jump;
    }

    private final StringBuilder text = new StringBuilder();
    private Random random;
    private int temporaries;

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
    void aThreadDoesNotDependOnTheOthers(long seed) {
        random = new Random(seed);
        int programs = 6;
        int[][] expected = new int[programs][];
        for (int i = 0; i < programs; i++) {
            expected[i] = program("k" + i);
        }
        try (KernelBed bed = new KernelBed("sm_75", text.toString())) {
            for (int i = 0; i < programs; i++) {
                for (long order = 0; order < 4; order++) {
                    long out = bed.ints(new int[THREADS * REGISTERS]);
                    bed.launch("k" + i, Launch.of(1, THREADS).withSeed(order), out);
                    assertArrayEquals(expected[i], bed.read(out, THREADS * REGISTERS),
                            "program " + i + " in order " + order);
                }
            }
        }
    }

    private void line(String format, Object... values) {
        text.append(String.format(format, values)).append('\n');
    }

    private int register() {
        return random.nextInt(REGISTERS);
    }

    /** Writes a kernel of basic blocks that jump anywhere until their fuel is used up; returns what it computes. */
    private int[] program(String name) {
        IntUnaryOperator function = random.nextBoolean() ? function(name) : null;
        line(".visible .entry %s(.param .u64 out)\n{", name);
        line("  .reg .pred %%p<4>; .reg .b32 %%r<%d>, %%c<%d>; .reg .b32 %%fuel, %%id, %%s<400>;", REGISTERS, CARRIED);
        line("  .reg .b64 %%o, %%x, %%w<50>;");
        line("  mov.u32 %%id, %%tid.x;");
        int fuel = 20 + random.nextInt(200);
        line("  mov.u32 %%fuel, %d;", fuel);
        line("  setp.lt.u32 %%p1, %%id, 20;");
        int[] factors = new int[REGISTERS];
        for (int i = 0; i < REGISTERS; i++) {
            factors[i] = random.nextInt(1 << 20);
            line("  mad.lo.u32 %%r%d, %%id, %d, %d;", i, factors[i], i);
        }
        for (int i = 0; i < CARRIED; i++) {
            line("  add.u32 %%c%d, %%id, %d;", i, i);
        }
        Block[] blocks = new Block[3 + random.nextInt(14)];
        for (int b = 0; b < blocks.length; b++) {
            blocks[b] = new Block();
            line("B%d:", b);
            line("  sub.u32 %%fuel, %%fuel, 1;");
            line("  setp.eq.u32 %%p0, %%fuel, 0;");
            line("  @%%p0 bra END;");
            for (int i = random.nextInt(6); i > 0; i--) {
                blocks[b].statements.add(statement(name, function));
            }
            blocks[b].jump = jump(b, blocks.length);
        }
        line("END:");
        line("  ld.param.u64 %%o, [out];");
        line("  mul.wide.u32 %%x, %%id, %d;", 4 * REGISTERS);
        line("  add.u64 %%o, %%o, %%x;");
        for (int i = 0; i < REGISTERS; i++) {
            line("  st.global.u32 [%%o+%d], %%r%d;", 4 * i, i);
        }
        line("  ret;\n}");
        int[] out = new int[THREADS * REGISTERS];
        for (int t = 0; t < THREADS; t++) {
            State state = new State();
            state.fuel = fuel;
            state.p = t < 20;
            for (int i = 0; i < REGISTERS; i++) {
                state.r[i] = t * factors[i] + i;
            }
            for (int i = 0; i < CARRIED; i++) {
                state.c[i] = t + i;
            }
            run(blocks, state);
            System.arraycopy(state.r, 0, out, t * REGISTERS, REGISTERS);
        }
        return out;
    }

    private static void run(Block[] blocks, State state) {
        int b = 0;
        while (b != END && b < blocks.length) {
            if (--state.fuel == 0) {
                return;
            }
            blocks[b].statements.forEach(s -> s.accept(state));
            b = blocks[b].jump.applyAsInt(state);
        }
    }

    private IntUnaryOperator function(String name) {
        int mask = 3 + random.nextInt(8);
        int factor = 3 + random.nextInt(50);
        line(".func (.reg .b32 %%out) f_%s(.reg .b32 %%in)", name);
        line("{ .reg .pred %%p; .reg .b32 %%n;");
        line("  and.b32 %%n, %%in, %d;", mask);
        line("  mov.u32 %%out, 1;");
        line("L:");
        line("  mad.lo.u32 %%out, %%out, %d, %%in;", factor);
        line("  setp.eq.u32 %%p, %%n, 0;");
        line("  @%%p ret;");
        line("  sub.u32 %%n, %%n, 1;");
        line("  bra L;");
        line("}");
        return in -> {
            int out = 1;
            for (int n = in & mask; n >= 0; n--) {
                out = out * factor + in;
            }
            return out;
        };
    }

    private Guard guard() {
        if (random.nextInt(4) != 0) {
            return new Guard("", true, false);
        }
        boolean negated = random.nextBoolean();
        return new Guard(negated ? "@!%p1 " : "@%p1 ", false, negated);
    }

    private Consumer<State> statement(String name, IntUnaryOperator function) {
        Guard g = guard();
        int d = register();
        int a = register();
        int b = register();
        switch (random.nextInt(function != null ? 9 : 8)) {
            case 0 -> {
                line("  %sadd.u32 %%r%d, %%r%d, %%r%d;", g.text, d, a, b);
                return s -> s.r[d] = g.holds(s) ? s.r[a] + s.r[b] : s.r[d];
            }
            case 1 -> {
                int n = random.nextInt(100);
                line("  %smad.lo.u32 %%r%d, %%r%d, %d, %%r%d;", g.text, d, a, n, b);
                return s -> s.r[d] = g.holds(s) ? s.r[a] * n + s.r[b] : s.r[d];
            }
            case 2 -> {
                line("  %sxor.b32 %%r%d, %%r%d, %%r%d;", g.text, d, a, b);
                return s -> s.r[d] = g.holds(s) ? s.r[a] ^ s.r[b] : s.r[d];
            }
            case 3 -> {
                int n = random.nextInt(5);
                line("  %sshr.u32 %%r%d, %%r%d, %d;", g.text, d, a, n);
                return s -> s.r[d] = g.holds(s) ? s.r[a] >>> n : s.r[d];
            }
            case 4 -> {
                boolean less = random.nextBoolean();
                line("  setp.%s.s32 %%p1, %%r%d, %%r%d;", less ? "lt" : "eq", a, b);
                return s -> s.p = less ? s.r[a] < s.r[b] : s.r[a] == s.r[b];
            }
            case 5 -> { // through short-lived registers, which share places
                int t = temporaries++ % 398;
                line("  add.u32 %%s%d, %%r%d, 7;", t, a);
                line("  xor.b32 %%s%d, %%s%d, %%r%d;", t + 1, t, b);
                line("  %sadd.u32 %%r%d, %%s%d, %%s%d;", g.text, d, t, t + 1);
                return s -> s.r[d] = g.holds(s) ? s.r[a] + 7 + (s.r[a] + 7 ^ s.r[b]) : s.r[d];
            }
            case 6 -> {
                int t = temporaries++ % 50;
                line("  mul.wide.u32 %%w%d, %%r%d, %%r%d;", t, a, b);
                line("  shr.u64 %%w%d, %%w%d, 9;", t, t);
                line("  cvt.u32.u64 %%r%d, %%w%d;", d, t);
                return s -> s.r[d] = (int) ((s.r[a] & 0xffffffffL) * (s.r[b] & 0xffffffffL) >>> 9);
            }
            case 7 -> { // a register that few statements name, and that may keep its value from round to round
                int c = random.nextInt(CARRIED);
                line("  %smov.u32 %%c%d, %%r%d;", g.text, c, a);
                line("  add.u32 %%r%d, %%r%d, %%c%d;", d, d, c);
                return s -> {
                    s.c[c] = g.holds(s) ? s.r[a] : s.c[c];
                    s.r[d] += s.c[c];
                };
            }
            default -> {
                line("  call (%%r%d), f_%s, (%%r%d);", d, name, a);
                return s -> s.r[d] = function.applyAsInt(s.r[a]);
            }
        }
    }

    private ToIntFunction<State> jump(int block, int blocks) {
        int a = register();
        int target = random.nextInt(blocks);
        switch (random.nextInt(6)) {
            case 0 -> {
                return s -> block + 1;
            }
            case 1 -> {
                line("  bra B%d;", target);
                return s -> target;
            }
            case 2 -> {
                line("  @%%p1 bra END;");
                return s -> s.p ? END : block + 1;
            }
            case 3 -> {
                int other = random.nextInt(blocks);
                line("  and.b32 %%s399, %%r%d, 3;", a);
                line("T%d: .branchtargets B%d, B%d, END, B%d;", block, target, other, target);
                line("  brx.idx %%s399, T%d;", block);
                int[] table = {target, other, END, target};
                return s -> table[s.r[a] & 3];
            }
            default -> {
                int mask = 1 + random.nextInt(7);
                line("  and.b32 %%s399, %%r%d, %d;", a, mask);
                line("  setp.eq.u32 %%p2, %%s399, 0;");
                line("  @%%p2 bra B%d;", target);
                return s -> (s.r[a] & mask) == 0 ? target : block + 1;
            }
        }
    }
}
