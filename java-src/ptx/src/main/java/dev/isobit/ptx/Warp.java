package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Thirty-two threads that share instructions: their registers, and where each of them stands. */
final class Warp {
    /** Instructions that threads wait at a meeting point before they go on without the others. */
    private static final int PATIENCE = 1 << 13;

    final Block block;
    final int index;
    final Program program;
    /** The register files: 32 lanes per slot. 16-bit values are kept zero-extended. */
    final int[] words;
    final long[] longs;
    /** One bit per lane. */
    final int[] predicates;
    /** The carry flags, one bit per lane. */
    int carries;
    /** Local memory, lane after lane. */
    final byte[] local;
    /** All threads: fewer than 32 at the end of a block. */
    int threads;
    /** Threads that have not ended. */
    int live;
    /** Per lane the cluster barrier phase that it arrived in, or -1. */
    final long[] clusterPhase = new long[Lanes.COUNT];
    /** What the sanitizer remembers; or null. */
    WarpHistory history;
    private final AsyncCopies copies = new AsyncCopies();
    private final List<Fragment> leaves = new ArrayList<>();
    private int turn;
    /** The fragment that executes. */
    Fragment current;
    private boolean yielded;
    /** States that runnable leaves have been in since anything changed, and the change that was the last then. */
    private final Set<Long> states = new HashSet<>();
    private long statesSince;

    Warp(Block block, int index, Program program) {
        this.block = block;
        this.index = index;
        this.program = program;
        words = new int[program.slots.words * Lanes.COUNT];
        longs = new long[program.slots.longs * Lanes.COUNT];
        predicates = new int[program.slots.predicates];
        local = new byte[program.localBytes * Lanes.COUNT];
    }

    /** Fills the slots that hold the same in every block. */
    private void prepare() {
        Slots slots = program.slots;
        slots.wordLiterals.forEach((value, slot) -> fill(false, slot * Lanes.COUNT, value));
        slots.longLiterals.forEach((value, slot) -> fill(true, slot * Lanes.COUNT, value));
        for (Slots.Filling<Slots.Address> f : slots.addressFillings) {
            fill(f.wide(), f.offset(), block.grid.addressOf(f.what().variable()) + f.what().addend());
        }
        for (Slots.Filling<String> f : slots.specialFillings) {
            for (int lane = 0; lane < Lanes.COUNT; lane++) {
                put(f.wide(), f.offset() + lane, SpecialRegisters.value(f.what(), this, lane));
            }
        }
        long rest = block.grid.launch.block().size() - (long) index * Lanes.COUNT;
        threads = rest >= Lanes.COUNT ? -1 : (1 << rest) - 1;
    }

    /** Puts all threads at the start of the kernel. */
    void start() {
        if (threads == 0) {
            prepare();
        }
        Slots slots = program.slots;
        Arrays.fill(words, 0, slots.registerWords * Lanes.COUNT, 0);
        Arrays.fill(longs, 0, slots.registerLongs * Lanes.COUNT, 0);
        Arrays.fill(predicates, 0);
        Arrays.fill(local, (byte) -1);
        Arrays.fill(clusterPhase, -1);
        for (Slots.Filling<String> f : slots.blockFillings) {
            fill(f.wide(), f.offset(), SpecialRegisters.value(f.what(), this, 0));
        }
        history = block.history == null ? null : new WarpHistory(block.history, index);
        live = threads;
        leaves.clear();
        leaves.add(new Fragment(null, Fragment.NOWHERE, false, 0, live));
        turn = 0;
    }

    private void fill(boolean wide, int offset, long value) {
        if (wide) {
            Arrays.fill(longs, offset, offset + Lanes.COUNT, value);
        } else {
            Arrays.fill(words, offset, offset + Lanes.COUNT, (int) value);
        }
    }

    /** Writes one lane of a register. */
    void put(boolean wide, int at, long value) {
        if (wide) {
            longs[at] = value;
        } else {
            words[at] = (int) value;
        }
    }

    /** Reads one lane of a register; 32-bit ones zero-extended. */
    long get(boolean wide, int at) {
        return wide ? longs[at] : words[at] & 0xffff_ffffL;
    }

    /** Writes the lanes of a predicate that are in the mask. */
    void setPredicate(int predicate, int mask, int values) {
        predicates[predicate] = predicates[predicate] & ~mask | values & mask;
    }

    /** Executes up to {@code budget} instructions; returns how many. Fewer means that all threads wait or have ended. */
    int run(int budget) {
        int left = budget;
        yielded = false;
        turn++;
        while (left > 0 && !yielded) {
            Fragment leaf = runnable();
            if (leaf == null) {
                break;
            }
            left = run(leaf, left);
        }
        return budget - left;
    }

    private Fragment runnable() {
        for (int i = 0; i < leaves.size(); i++) {
            Fragment leaf = leaves.get((int) (((long) turn + i) % leaves.size()));
            if (leaf.wait == Fragment.Wait.NONE) {
                return leaf;
            }
        }
        return null;
    }

    private int run(Fragment leaf, int budget) {
        Instruction[] code = program.code;
        Grid grid = block.grid;
        current = leaf;
        int left = budget;
        int pc = leaf.pc;
        long threadInstructions = 0;
        int executed = 0;
        while (left > 0) {
            if (pc == leaf.join) {
                leaf.pc = pc;
                join(leaf);
                break;
            }
            Instruction instruction = code[pc];
            int mask = leaf.mask;
            if (instruction.guard >= 0) {
                mask &= predicates[instruction.guard] ^ instruction.flip;
            }
            left--;
            if (mask == 0) {
                pc = instruction.next;
                continue;
            }
            leaf.pc = pc;
            if (grid.tracer != null) {
                grid.tracer.step(new ThreadLocation.Index(block.position), index, mask, instruction.location,
                        text(instruction));
            }
            threadInstructions += Integer.bitCount(mask);
            executed++;
            pc = instruction.execute(this, mask);
            if (pc == Instruction.LEAVE) {
                grid.count(threadInstructions, executed);
                return left;
            }
        }
        leaf.pc = pc;
        grid.count(threadInstructions, executed);
        if (left == 0) {
            losePatience(leaf, budget);
        }
        return left;
    }

    /**
     * Threads that wait where ways meet may hold what the others spin for: after long waiting they go on alone, and
     * meet the others later.
     */
    private void losePatience(Fragment leaf, int executed) {
        leaf.steps += executed;
        if (leaf.steps < PATIENCE) {
            return;
        }
        leaf.steps = 0;
        for (Fragment f = leaf.parent; f != null; f = f.parent) {
            int arrived = f.mask & ~f.waiting;
            if (arrived != 0) {
                f.mask = f.waiting;
                leaves.add(new Fragment(f.parent, f.join, f.call, f.pc, arrived));
            }
        }
    }

    /** Lets another warp run once the current fragment leaves. */
    void yield() {
        yielded = true;
    }

    /**
     * Whether no thread of this warp can go on as long as nothing changes: each waits, or is in a state in which it has
     * been before, and so will be for ever.
     */
    boolean isStuck(long changes) {
        if (statesSince != changes) {
            statesSince = changes;
            states.clear();
        }
        boolean stuck = true;
        for (Fragment leaf : leaves) {
            stuck &= leaf.wait != Fragment.Wait.NONE || !states.add(state(leaf));
        }
        return stuck;
    }

    /** A hash of all that decides what a leaf does next. */
    private long state(Fragment leaf) {
        long hash = leaf.pc * 31L + leaf.mask;
        for (int predicate : predicates) {
            hash = mix(hash, predicate & leaf.mask);
        }
        for (int m = leaf.mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            for (int i = lane; i < program.slots.registerWords * Lanes.COUNT; i += Lanes.COUNT) {
                hash = mix(hash, words[i]);
            }
            for (int i = lane; i < program.slots.registerLongs * Lanes.COUNT; i += Lanes.COUNT) {
                hash = mix(hash, longs[i]);
            }
        }
        return hash;
    }

    private static long mix(long hash, long value) {
        long h = (hash ^ value) * 0x9E3779B97F4A7C15L;
        return h ^ h >>> 29;
    }

    private void join(Fragment leaf) {
        leaves.remove(leaf);
        leaf.parent.waiting &= ~leaf.mask;
        wake(leaf.parent);
    }

    /** Makes a fragment run again once none of its threads is on its way any more. */
    private void wake(Fragment fragment) {
        for (Fragment f = fragment; f != null && f.waiting == 0; f = f.parent) {
            if (f.mask != 0) {
                leaves.add(f);
                return;
            }
        }
    }

    /** Divides the current fragment: {@code taken} goes to {@code target}, the others to {@code next}. */
    int diverge(int taken, int target, int next, int join) {
        Fragment f = current;
        int others = f.mask & ~taken;
        if (join == f.join && join != Fragment.NOWHERE) {
            if (target == join || next == join) { // one way has already come to its end
                int arrived = target == join ? taken : others;
                f.mask &= ~arrived;
                f.parent.waiting &= ~arrived;
                f.steps = 0;
                return target == join ? next : target;
            }
        }
        boolean siblings = join == f.join;
        Fragment parent = siblings ? f.parent : f;
        if (!siblings) {
            f.pc = join;
            f.waiting = f.mask;
            leaves.remove(f);
        }
        boolean call = siblings && f.call;
        Fragment there = new Fragment(parent, join, call, target, taken);
        boolean takenFirst = block.grid.chance();
        if (siblings) {
            f.mask = takenFirst ? taken : others;
            f.pc = takenFirst ? target : next;
            there.mask = takenFirst ? others : taken;
            there.pc = takenFirst ? next : target;
            leaves.add(there);
        } else {
            Fragment here = new Fragment(parent, join, call, next, others);
            leaves.add(takenFirst ? there : here);
            leaves.add(takenFirst ? here : there);
        }
        return Instruction.LEAVE;
    }

    /** Sends the current fragment into a function; it goes on at {@code next} when all its threads have returned. */
    int call(int mask, int start, int next, Call call) {
        Fragment f = current;
        if (mask != f.mask) { // the others wait behind the call
            return diverge(mask, f.pc, next, next);
        }
        f.pc = next;
        f.calling = call;
        f.waiting = mask;
        leaves.remove(f);
        leaves.add(new Fragment(f, Fragment.NOWHERE, true, start, mask));
        return Instruction.LEAVE;
    }

    /** Takes threads back to the caller of the function that they are in. */
    int returnFrom(int mask) {
        Fragment f = current;
        int next = f.mask == mask ? Instruction.LEAVE : program.code[f.pc].next;
        Fragment frame = f;
        while (!frame.call) {
            frame.mask &= ~mask;
            if (frame != f) {
                frame.waiting &= ~mask;
            }
            frame = frame.parent;
        }
        frame.mask &= ~mask;
        if (frame != f) {
            frame.waiting &= ~mask;
        }
        frame.parent.waiting &= ~mask;
        frame.parent.calling.finish(this, mask);
        settle(f);
        return next;
    }

    /** Ends threads. */
    int exit(int mask) {
        Fragment f = current;
        int next = f.mask == mask ? Instruction.LEAVE : program.code[f.pc].next;
        copies.finish(this, mask);
        live &= ~mask;
        for (Fragment a = f; a != null; a = a.parent) {
            a.mask &= ~mask;
            a.waiting &= ~mask;
        }
        settle(f);
        for (Fragment leaf : leaves) { // what they wait for may have changed
            if (leaf.wait == Fragment.Wait.WARP || leaf.wait == Fragment.Wait.GATHER) {
                leaf.wait = Fragment.Wait.NONE;
            }
        }
        block.exited(this, mask);
        return next;
    }

    private void settle(Fragment f) {
        if (f.mask == 0) {
            leaves.remove(f);
            wake(f.parent);
        }
    }

    /** Where the current fragment waits; it executes its instruction again when it is let go without being moved on. */
    void await(Fragment.Wait what, int mask) {
        current.wait = what;
        current.waitMask = mask;
    }

    AsyncCopies copies() {
        return copies;
    }

    List<Fragment> leaves() {
        return leaves;
    }

    static int firstLane(int mask) {
        return Integer.numberOfTrailingZeros(mask);
    }

    ThreadLocation locate(int lane) {
        return locate(current, lane);
    }

    ThreadLocation locate(Fragment fragment, int lane) {
        return locate(block.position, index * Lanes.COUNT + lane, fragment.pc);
    }

    /** A thread of the grid by its number. */
    ThreadLocation locate(int thread, int instruction) {
        Launch launch = block.grid.launch;
        int size = (int) launch.block().size();
        return locate(launch.grid().position(thread / size), thread % size, instruction);
    }

    private ThreadLocation locate(int[] p, int thread, int pc) {
        Instruction instruction = program.code[pc];
        int[] t = block.grid.launch.block().position(thread);
        return new ThreadLocation(program.entry.name(), instruction.location, text(instruction),
                new ThreadLocation.Index(p), new ThreadLocation.Index(t));
    }

    private String text(Instruction instruction) {
        return program.entry.module().line(instruction.location.ptxLine());
    }

    DeviceFault fault(DeviceFault.Kind kind, int lane, long address, String what) {
        return new DeviceFault(kind, what, locate(lane), address);
    }
}
