package dev.isobit.ptx;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** A launch while it runs. One thread executes it: blocks and warps take turns. */
final class Grid {
    private static final int TURN = 1024;
    /** Rounds without any change after which a launch is suspected to be stuck. */
    private static final int PATIENCE = 64;

    final Device device;
    final Image image;
    final Program program;
    final Launch launch;
    final byte[] parameters;
    /** The access in progress. */
    final Access access = new Access();
    final List<String> output = new ArrayList<>();
    final long[] bytesRead = new long[Space.values().length];
    final long[] bytesWritten = new long[Space.values().length];
    long bytesReadTogether;
    /** Watches the launch; or null. */
    final Sanitizer sanitizer;
    final Tracer tracer;
    private final Random random;
    private long threadInstructions;
    private long warpInstructions;
    /** Counts what may let a waiting or spinning thread go on: writes, arrivals, ends. */
    private long changes;

    Grid(Device device, Image image, Program program, Launch launch, MemorySegment arguments,
            boolean sanitizing, Tracer tracer) {
        this.tracer = tracer;
        this.device = device;
        this.image = image;
        this.program = program;
        this.launch = launch;
        this.parameters = arguments.asSlice(0, program.entry.parameterBytes()).toArray(ValueLayout.JAVA_BYTE);
        this.sanitizer = sanitizing ? new Sanitizer(this) : null;
        this.random = launch.seed() == 0 ? null : new Random(launch.seed());
    }

    /** Runs all blocks. */
    LaunchReport run() {
        long clusters = launch.grid().size() / launch.cluster().size();
        int together = launch.cooperative() ? Math.toIntExact(clusters) : 1;
        List<Cluster> resident = new ArrayList<>();
        for (int i = 0; i < together; i++) {
            Block[] blocks = new Block[(int) launch.cluster().size()];
            for (int rank = 0; rank < blocks.length; rank++) {
                blocks[rank] = new Block(this);
            }
            resident.add(new Cluster(blocks));
        }
        long step = clusters == 1 || random == null ? 1 : coprime(clusters);
        long first = random == null ? 0 : random.nextLong(clusters);
        for (long started = 0; started < clusters; started += together) {
            for (int i = 0; i < together; i++) {
                resident.get(i).start(permuted(started + i, first, step, clusters));
            }
            finish(resident);
        }
        return new LaunchReport(threadInstructions, warpInstructions, perSpace(bytesRead), perSpace(bytesWritten),
                bytesReadTogether, findings(), List.copyOf(output));
    }

    List<Finding> findings() {
        return sanitizer == null ? List.of() : sanitizer.findings();
    }

    /** A step that visits every cluster once. */
    private long coprime(long clusters) {
        java.math.BigInteger all = java.math.BigInteger.valueOf(clusters);
        while (true) {
            long step = 1 + random.nextLong(clusters);
            if (java.math.BigInteger.valueOf(step).gcd(all).equals(java.math.BigInteger.ONE)) {
                return step;
            }
        }
    }

    private static long permuted(long index, long first, long step, long count) {
        return java.math.BigInteger.valueOf(index).multiply(java.math.BigInteger.valueOf(step))
                .add(java.math.BigInteger.valueOf(first)).mod(java.math.BigInteger.valueOf(count)).longValue();
    }

    private void finish(List<Cluster> resident) {
        List<Warp> running = new ArrayList<>();
        for (Cluster cluster : resident) {
            for (Block block : cluster.blocks) {
                Collections.addAll(running, block.warps);
            }
        }
        int quiet = 0;
        long seen = changes;
        while (!running.isEmpty()) {
            if (random != null) {
                Collections.shuffle(running, random);
            }
            boolean progress = false;
            for (Warp warp : running) {
                int turn = random == null ? TURN : 1 + random.nextInt(TURN);
                progress |= warp.run(turn) > 0;
            }
            if (Thread.currentThread().isInterrupted()) {
                throw new DeviceFault(DeviceFault.Kind.INTERRUPTED, "launch of " + program.entry.name()
                        + " interrupted", null, 0);
            }
            if (launch.limit() > 0 && warpInstructions > launch.limit()) {
                throw new DeviceFault(DeviceFault.Kind.LIMIT, "more than " + launch.limit()
                        + " warp instructions", anyThread(running), 0);
            }
            quiet = changes == seen ? quiet + 1 : 0;
            seen = changes;
            if (quiet > PATIENCE && isStuck(running)) {
                running.forEach(Grid::explainBarriers);
                throw deadlock(running);
            }
            boolean ended = running.removeIf(warp -> warp.live == 0);
            if (!progress && !ended) {
                running.forEach(Grid::explainBarriers);
                throw deadlock(running);
            }
        }
    }

    private boolean isStuck(List<Warp> running) {
        boolean stuck = true;
        for (Warp warp : running) {
            stuck &= warp.isStuck(changes);
        }
        return stuck;
    }

    /** Something happened that a waiting or spinning thread may have waited for. */
    void changed() {
        changes++;
    }

    private static ThreadLocation anyThread(List<Warp> running) {
        for (Warp warp : running) {
            if (warp.live != 0) {
                Fragment leaf = warp.leaves().getFirst();
                return warp.locate(leaf, Warp.firstLane(leaf.mask));
            }
        }
        return null;
    }

    /** Threads of a warp that wait for the others at a barrier which these never reach. */
    private static void explainBarriers(Warp warp) {
        Sanitizer sanitizer = warp.block.grid.sanitizer;
        for (Fragment leaf : warp.leaves()) {
            if (sanitizer != null && leaf.wait == Fragment.Wait.GATHER) {
                sanitizer.divergentBarrier(warp, leaf, () -> "barrier that only some threads of a warp reach,");
            }
        }
    }

    private static DeviceFault deadlock(List<Warp> running) {
        StringBuilder text = new StringBuilder("no thread can go on:");
        int told = 0;
        for (Warp warp : running) {
            for (Fragment leaf : warp.leaves()) {
                if (told++ < 8) {
                    text.append("\n  ").append(Integer.bitCount(leaf.mask))
                            .append(leaf.wait == Fragment.Wait.NONE ? " threads spin from " : " threads wait from ")
                            .append(warp.locate(leaf, Warp.firstLane(leaf.mask)));
                }
            }
        }
        return new DeviceFault(DeviceFault.Kind.DEADLOCK, text.append('\n').toString(), anyThread(running), 0);
    }

    /** Coin of the scheduling order; false in natural order. */
    boolean chance() {
        return random != null && random.nextBoolean();
    }

    void count(long threads, long warps) {
        threadInstructions += threads;
        warpInstructions += warps;
    }

    long warpInstructions() {
        return warpInstructions;
    }

    /** Address of a variable in its own state space. */
    long addressOf(Variable variable) {
        return variable.space == Space.GLOBAL ? image.address(variable) : program.offsets.get(variable);
    }

    int sharedBytes() {
        return program.staticSharedBytes + launch.sharedBytes();
    }

    private static Map<Space, Long> perSpace(long[] counts) {
        Map<Space, Long> map = new EnumMap<>(Space.class);
        for (Space space : Space.values()) {
            map.put(space, counts[space.ordinal()]);
        }
        return Collections.unmodifiableMap(map);
    }
}
