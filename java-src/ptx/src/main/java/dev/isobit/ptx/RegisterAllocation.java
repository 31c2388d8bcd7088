package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/**
 * Gives the registers of a function places in the register files, so that registers which are never needed at the same
 * time share one: nvcc writes thousands of registers of which some dozens are alive at once, and a warp's register
 * files should fit a processor's cache.
 *
 * <p>A register's place is its own from the first to the last instruction where it is alive, in the order of the text
 * (linear scan). Threads of a warp may stand at different instructions, but each has its own lane of a place.
 */
final class RegisterAllocation {
    /** Per register number its place: in the file of predicates, of 32-bit or of 64-bit registers. */
    final int[] places;
    int predicates;
    int words;
    int longs;

    private final Function function;
    private final int[] first;
    private final int[] last;

    RegisterAllocation(Function function) {
        this.function = function;
        int n = function.registers.size();
        places = new int[n];
        first = new int[n];
        last = new int[n];
        Arrays.fill(first, Integer.MAX_VALUE);
        Arrays.fill(last, -1);
        findLifetimes();
        // Registers that carry parameters or results are alive all the time.
        function.parameterRegisters.forEach(this::keep);
        function.returnRegisters.forEach(this::keep);
        assign();
    }

    private void keep(Register register) {
        if (register != null) {
            first[register.number()] = 0;
            last[register.number()] = function.body.size();
        }
    }

    private void touch(int register, int at) {
        first[register] = Math.min(first[register], at);
        last[register] = Math.max(last[register], at);
    }

    private void findLifetimes() {
        List<Statement> body = function.body;
        int n = body.size();
        int[][] successors = new int[n][];
        for (int i = 0; i < n; i++) {
            successors[i] = body.get(i).successors(i);
        }
        int[] starts = blockStarts(successors);
        int blocks = starts.length;
        int[] blockOf = new int[n + 1];
        for (int b = 0; b < blocks; b++) {
            Arrays.fill(blockOf, starts[b], b + 1 < blocks ? starts[b + 1] : n, b);
        }
        BitSet[] liveIn = new BitSet[blocks];
        BitSet[] liveOut = new BitSet[blocks];
        BitSet[] uses = new BitSet[blocks];
        BitSet[] kills = new BitSet[blocks];
        for (int b = 0; b < blocks; b++) {
            liveIn[b] = new BitSet();
            liveOut[b] = new BitSet();
            uses[b] = new BitSet();
            kills[b] = new BitSet();
            summarise(starts[b], b + 1 < blocks ? starts[b + 1] : n, uses[b], kills[b]);
        }
        boolean changed = true;
        while (changed) {
            changed = false;
            for (int b = blocks - 1; b >= 0; b--) {
                int end = b + 1 < blocks ? starts[b + 1] : n;
                for (int successor : successors[end - 1]) {
                    if (successor < n) {
                        liveOut[b].or(liveIn[blockOf[successor]]);
                    }
                }
                BitSet in = (BitSet) liveOut[b].clone();
                in.andNot(kills[b]);
                in.or(uses[b]);
                if (!in.equals(liveIn[b])) {
                    liveIn[b] = in;
                    changed = true;
                }
            }
        }
        for (int b = 0; b < blocks; b++) {
            int start = starts[b];
            int end = b + 1 < blocks ? starts[b + 1] : n;
            liveIn[b].stream().forEach(r -> touch(r, start));
            liveOut[b].stream().forEach(r -> touch(r, end));
        }
        for (int i = 0; i < n; i++) {
            int at = i;
            body.get(i).registers((register, written) -> touch(register.number(), at));
        }
    }

    private void summarise(int from, int to, BitSet uses, BitSet kills) {
        for (int i = from; i < to; i++) {
            Statement statement = function.body.get(i);
            statement.registers((register, written) -> {
                if (!written && !kills.get(register.number())) {
                    uses.set(register.number());
                }
            });
            if (statement.guard() == null) { // a guarded result may leave the old value in place
                statement.registers((register, written) -> {
                    if (written) {
                        kills.set(register.number());
                    }
                });
            } else {
                statement.registers((register, written) -> {
                    if (written && !kills.get(register.number())) {
                        uses.set(register.number());
                    }
                });
            }
        }
    }

    private static int[] blockStarts(int[][] successors) {
        int n = successors.length;
        BitSet starts = new BitSet();
        if (n > 0) {
            starts.set(0);
        }
        for (int i = 0; i < n; i++) {
            if (successors[i].length != 1 || successors[i][0] != i + 1) {
                starts.set(i + 1);
                for (int s : successors[i]) {
                    starts.set(s);
                }
            }
        }
        starts.clear(n, n + 2);
        return starts.stream().toArray();
    }

    private void assign() {
        List<Register> order = new ArrayList<>(function.registers);
        order.removeIf(r -> last[r.number()] < 0); // never mentioned
        order.sort(Comparator.comparingInt(r -> first[r.number()]));
        predicates = assign(order.stream().filter(r -> r.type() == Type.PRED).toList());
        words = assign(order.stream().filter(r -> r.type() != Type.PRED && !r.type().isWide()).toList());
        longs = assign(order.stream().filter(r -> r.type().isWide()).toList());
    }

    private int assign(List<Register> registers) {
        PriorityQueue<Register> alive = new PriorityQueue<>(Comparator.comparingInt(r -> last[r.number()]));
        List<Integer> free = new ArrayList<>();
        int used = 0;
        for (Register register : registers) {
            while (!alive.isEmpty() && last[alive.peek().number()] < first[register.number()]) {
                free.add(places[alive.remove().number()]);
            }
            places[register.number()] = free.isEmpty() ? used++ : free.removeLast();
            alive.add(register);
        }
        return used;
    }
}
