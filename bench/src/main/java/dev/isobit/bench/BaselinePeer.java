package dev.isobit.bench;

import dev.isobit.AdamOptions;
import dev.isobit.spi.AdamScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The C baseline beside the backends: cross-entropy by its fastest way through memory, and AdamW. */
final class BaselinePeer implements Peer {
    static final String NAME = "C";
    /** Rounds to find the fastest variant: too few to matter, enough to tell. */
    private static final Rounds CHOICE = new Rounds(1, 0.01, 3);

    private BaselinePeer() {}

    /** The baseline, or why there is none. */
    static BaselinePeer open() {
        try {
            Baseline.description();
        } catch (LinkageError e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            throw new IllegalStateException("the C baseline is not here: " + cause.getMessage(), e);
        }
        return new BaselinePeer();
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String description() {
        return Baseline.description() + ", hand-written, fused, sums in any order, a shorter exp";
    }

    @Override
    public @Nullable Call prepare(Problem problem) {
        return switch (problem.operation()) {
            case "cross-entropy" -> new CrossEntropy(problem);
            case "adamw" -> new AdamW(problem);
            default -> null;
        };
    }

    @Override
    public void close() {
        // holds nothing
    }

    private static MemorySegment copy(Arena arena, MemorySegment from) {
        return arena.allocate(from.byteSize(), 64).copyFrom(from);
    }

    private static boolean read(Map<String, MemorySegment> outputs, String output, MemorySegment to) {
        MemorySegment from = outputs.get(output);
        if (from != null) {
            to.copyFrom(from);
        }
        return from != null;
    }

    private static final class CrossEntropy implements Call {
        private final Arena arena = Arena.ofShared();
        private final Problem problem;
        private final MemorySegment rowLoss;
        private final MemorySegment gradLogits;
        private final Baseline.Variant variant;
        private float mean;

        CrossEntropy(Problem problem) {
            this.problem = problem;
            rowLoss = arena.allocate(4 * problem.shape().get(0), 64);
            gradLogits = arena.allocate(4 * problem.elements(), 64);
            Side[] variants = Stream.of(Baseline.Variant.values())
                    .map(each -> new Side(each.name(), 1, 1, () -> run(each))).toArray(Side[]::new);
            variant = Baseline.Variant.valueOf(CHOICE.fastest(variants).name());
        }

        private void run(Baseline.Variant way) {
            mean = Baseline.crossEntropy(problem.inputs().get("logits"), problem.inputs().get("targets"), rowLoss,
                    gradLogits, problem.shape().get(0), problem.shape().get(1), way, problem.threads());
        }

        @Override
        public void run() {
            run(variant);
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            if (output.equals("loss") && problem.mean()) {
                to.set(ValueLayout.JAVA_FLOAT, 0, mean);
                return true;
            }
            boolean kept = BaselinePeer.read(Map.of("loss", rowLoss, "gradLogits", gradLogits), output, to);
            if (output.equals("gradLogits") && !problem.mean()) {
                // Its gradient is that of the mean; powers of two make no error.
                long rows = problem.shape().get(0);
                for (long i = 0; i < problem.elements(); i++) {
                    to.setAtIndex(ValueLayout.JAVA_FLOAT, i, to.getAtIndex(ValueLayout.JAVA_FLOAT, i) * rows);
                }
                return Long.bitCount(rows) == 1;
            }
            return kept;
        }

        @Override
        public void close() {
            arena.close();
        }
    }

    private static final class AdamW implements Call {
        private final Arena arena = Arena.ofShared();
        private final Problem problem;
        private final Map<String, MemorySegment> state;
        private final MemorySegment table;
        private final AdamScalars scalars = new AdamScalars();
        private final AdamOptions options = AdamOptions.adamW();
        private long step;

        AdamW(Problem problem) {
            this.problem = problem;
            step = problem.scalars().get("step").longValue();
            long tensors = problem.shape().get(0);
            long size = problem.shape().get(1);
            state = Map.of("param", copy(arena, problem.inputs().get("param")), "expAvg",
                    copy(arena, problem.inputs().get("expAvg")), "expAvgSq",
                    copy(arena, problem.inputs().get("expAvgSq")));
            MemorySegment[] columns = {state.get("param"), problem.inputs().get("grad"), state.get("expAvg"),
                state.get("expAvgSq")};
            table = arena.allocate(Baseline.TENSOR.byteSize() * tensors, 8);
            for (long i = 0; i < tensors; i++) {
                long row = i * Baseline.TENSOR.byteSize();
                for (int j = 0; j < columns.length; j++) {
                    table.set(ValueLayout.JAVA_LONG, row + 8L * j, columns[j].address() + 4 * size * i);
                }
                table.set(ValueLayout.JAVA_LONG, row + 8L * columns.length, size);
            }
        }

        @Override
        public void run() {
            scalars.set(options, options.lr(), step++);
            Baseline.adamW(table, problem.shape().get(0), scalars, problem.threads());
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            return BaselinePeer.read(state, output, to);
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
