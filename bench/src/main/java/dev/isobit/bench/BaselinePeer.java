package dev.isobit.bench;

import dev.isobit.AdamOptions;
import dev.isobit.DType;
import dev.isobit.SgdOptions;
import dev.isobit.spi.AdamScalars;
import dev.isobit.spi.SgdScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The C baseline beside the backends, each operation by its fastest way through memory. */
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
    public boolean takes(DType dtype) {
        return List.of(DType.F32, DType.BF16, DType.F16).contains(dtype);
    }

    @Override
    public @Nullable Call prepare(Problem problem) {
        return switch (problem.operation()) {
            case "cross-entropy" -> new CrossEntropy(problem);
            case "bce", Workload.PLAIN_BCE -> new Bce(problem);
            case "adamw" -> new AdamW(problem, DType.F32);
            case AdamWorkload.CLIPPED -> problem.dtype() == DType.F32 ? new AdamWClipped(problem) : null;
            case Workload.NARROW_ADAMW -> problem.dtype() == DType.F16 ? null : new AdamW(problem, problem.dtype());
            case "sgd" -> problem.dtype() == DType.F32 ? new Sgd(problem) : null;
            default -> null;
        };
    }

    @Override
    public void close() {
        // holds nothing
    }

    private static <E extends Enum<E>> E fastest(List<E> ways, Consumer<E> run) {
        if (ways.size() == 1) {
            return ways.getFirst();
        }
        Side[] sides = ways.stream().map(way -> new Side(way.name(), 1, 1, () -> run.accept(way))).toArray(Side[]::new);
        String name = CHOICE.fastest(sides).name();
        return ways.stream().filter(way -> way.name().equals(name)).findFirst().orElseThrow();
    }

    /** Operands of an operation, of which those in {@code kept} are its results. */
    private abstract static class Operation implements Call {
        final Arena arena = Arena.ofShared();
        final Problem problem;

        Operation(Problem problem) {
            this.problem = problem;
        }

        MemorySegment input(String name) {
            return problem.inputs().get(name);
        }

        abstract Map<String, MemorySegment> results();

        @Override
        public boolean read(String output, MemorySegment to) {
            to.copyFrom(results().get(output).asSlice(0, to.byteSize()));
            return true;
        }

        @Override
        public void close() {
            arena.close();
        }
    }

    private static final class CrossEntropy extends Operation {
        private final long rows = problem.shape().get(0);
        private final MemorySegment rowLoss = arena.allocate(Float.BYTES * rows, 64);
        private final MemorySegment mean = arena.allocate(Float.BYTES);
        private final MemorySegment gradLogits =
                arena.allocate(problem.dtype().byteSize() * problem.elements(), 64);
        private final Baseline.Variant variant;

        CrossEntropy(Problem problem) {
            super(problem);
            variant = fastest(Baseline.Variant.of(problem.shape().get(1)), this::run);
        }

        private void run(Baseline.Variant way) {
            mean.set(ValueLayout.JAVA_FLOAT, 0,
                    Baseline.crossEntropy(input("logits"), input("targets"), rowLoss, gradLogits, rows,
                            problem.shape().get(1), problem.mean() ? 1f / rows : 1, problem.dtype(), way,
                            problem.threads()));
        }

        @Override
        public void run() {
            run(variant);
        }

        @Override
        Map<String, MemorySegment> results() {
            return Map.of("loss", problem.mean() ? mean : rowLoss, "gradLogits", gradLogits);
        }
    }

    private static final class Bce extends Operation {
        private final MemorySegment mean = arena.allocate(Float.BYTES);
        private final MemorySegment loss =
                problem.mean() ? MemorySegment.NULL : arena.allocate(Float.BYTES * problem.elements(), 64);
        private final MemorySegment gradLogits =
                arena.allocate(problem.dtype().byteSize() * problem.elements(), 64);
        private final Baseline.Way way;

        Bce(Problem problem) {
            super(problem);
            way = fastest(List.of(Baseline.Way.values()), this::run);
        }

        private void run(Baseline.Way by) {
            mean.set(ValueLayout.JAVA_FLOAT, 0,
                    Baseline.bce(input("logits"), input("targets"),
                            problem.inputs().getOrDefault("posWeight", MemorySegment.NULL), loss, gradLogits,
                            problem.elements(), problem.shape().get(1), problem.mean() ? 1f / problem.elements() : 1,
                            problem.dtype(), by, problem.threads()));
        }

        @Override
        public void run() {
            run(way);
        }

        @Override
        Map<String, MemorySegment> results() {
            return Map.of("loss", problem.mean() ? mean : loss, "gradLogits", gradLogits);
        }
    }

    /** An optimizer: a copy of what it updates, and the table of its tensors. */
    private abstract static class Optimizer extends Operation {
        final Map<String, MemorySegment> state = new HashMap<>();
        final long tensors = problem.shape().get(0);
        final MemorySegment table = arena.allocate(Baseline.TENSOR.byteSize() * tensors, 8);
        long step;

        Optimizer(Problem problem, List<String> updated) {
            super(problem);
            updated.forEach(name -> state.put(name, arena.allocate(input(name).byteSize(), 64)));
            reset();
        }

        /** Back to where the problem begins. */
        final void reset() {
            state.forEach((name, values) -> values.copyFrom(input(name)));
            step = problem.scalars().get("step").longValue();
        }

        /** Fills a column of the table: where each tensor begins in a region. */
        final void column(int column, MemorySegment region) {
            long bytes = region.byteSize() / tensors;
            for (long i = 0; i < tensors; i++) {
                long row = i * Baseline.TENSOR.byteSize();
                table.set(ValueLayout.JAVA_LONG, row + 8L * column, region.address() + bytes * i);
                table.set(ValueLayout.JAVA_LONG, row + COUNT, problem.shape().get(1));
            }
        }

        @Override
        Map<String, MemorySegment> results() {
            return state;
        }
    }

    /** Offset of a tensor's element count in its row of the table. */
    private static final long COUNT = 32;

    /** A step of AdamW that goes through memory in one of two ways. */
    private abstract static class AdamStep extends Optimizer {
        final AdamScalars scalars = new AdamScalars();
        private final AdamOptions options = AdamOptions.adamW();
        private Baseline.@Nullable Way way;

        AdamStep(Problem problem) {
            super(problem, List.of("param", "expAvg", "expAvgSq"));
            column(0, state.get("param"));
            column(1, input("grad"));
            column(2, state.get("expAvg"));
            column(3, state.get("expAvgSq"));
        }

        /** Of a step with {@link #scalars}: whether it was done. */
        abstract boolean step(Baseline.Way by);

        final void choose() {
            way = fastest(List.of(Baseline.Way.values()), this::run);
            reset();
        }

        private void run(Baseline.Way by) {
            scalars.set(options, options.lr(), step);
            if (step(by)) {
                step++;
            }
        }

        @Override
        public void run() {
            run(way);
        }
    }

    private static final class AdamW extends AdamStep {
        private final DType moments;

        AdamW(Problem problem, DType moments) {
            super(problem);
            this.moments = moments;
            choose();
        }

        @Override
        boolean step(Baseline.Way by) {
            Baseline.adamW(table, tensors, scalars, problem.dtype(), moments, by, problem.threads());
            return true;
        }
    }

    private static final class AdamWClipped extends AdamStep {
        private final float gradScale = problem.scalars().get("gradScale").floatValue();
        private final float maxNorm = problem.scalars().get("maxNorm").floatValue();

        AdamWClipped(Problem problem) {
            super(problem);
            choose();
        }

        @Override
        boolean step(Baseline.Way by) {
            return Double.isFinite(
                    Baseline.adamWClipped(table, tensors, scalars, gradScale, maxNorm, by, problem.threads()));
        }
    }

    private static final class Sgd extends Optimizer {
        private final SgdScalars scalars = new SgdScalars();
        private final SgdOptions options = SgdOptions.defaults().withLr(problem.scalars().get("lr"))
                .withMomentum(problem.scalars().get("momentum"))
                .withWeightDecay(problem.scalars().get("weightDecay"));

        Sgd(Problem problem) {
            super(problem, List.of("param", "momentumBuffer"));
            column(0, state.get("param"));
            column(1, input("grad"));
            column(2, state.get("momentumBuffer"));
        }

        @Override
        public void run() {
            scalars.set(options, options.lr(), step++);
            Baseline.sgd(table, tensors, scalars, problem.threads());
        }
    }
}
