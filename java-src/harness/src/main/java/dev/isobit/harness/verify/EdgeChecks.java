package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.TargetOutOfRangeException;
import dev.isobit.Tensor;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.Arrays;
import java.util.List;

/**
 * The edges of the contract that the grid does not meet, for they have no exact result: their bits are written down
 * here.
 */
final class EdgeChecks {
    private static final int NAN = 0x7fc00000;
    private static final long[] BAD_TARGETS = {0, 5, -1, 2, Long.MAX_VALUE};
    private static final int CLASSES = 3;

    private final Backend backend;
    private final Edges edges;

    private EdgeChecks(Backend backend, Edges edges) {
        this.backend = backend;
        this.edges = edges;
    }

    /** A loss of rows with class indices. */
    private interface RowLoss extends AutoCloseable {
        void lossAndGradient(Tensor input, Tensor targets, Tensor loss, Tensor gradient);

        @Override
        void close();
    }

    private record CrossEntropyRows(CrossEntropy op) implements RowLoss {
        @Override
        public void lossAndGradient(Tensor input, Tensor targets, Tensor loss, Tensor gradient) {
            op.lossAndGradient(input, targets, loss, gradient);
        }

        @Override
        public void close() {
            op.close();
        }
    }

    private record NllRows(NllLoss op) implements RowLoss {
        @Override
        public void lossAndGradient(Tensor input, Tensor targets, Tensor loss, Tensor gradient) {
            op.lossAndGradient(NllLossOperands.of(input, targets), loss, gradient);
        }

        @Override
        public void close() {
            op.close();
        }
    }

    /** Which of them is checked; said of all but the first. */
    private enum Operation {
        CROSS_ENTROPY(""), NLL_LOSS("NllLoss: ");

        final String prefix;

        Operation(String prefix) {
            this.prefix = prefix;
        }

        RowLoss on(Backend backend, Reduction reduction) {
            return this == NLL_LOSS
                    ? new NllRows(NllLoss.on(backend, NllLossOptions.defaults().withReduction(reduction)))
                    : new CrossEntropyRows(
                            CrossEntropy.on(backend, CrossEntropyOptions.defaults().withReduction(reduction)));
        }
    }

    static List<VerifyReport.Edge> of(String subject, Backend backend) {
        var edges = new Edges(subject);
        var checks = new EdgeChecks(backend, edges);
        for (Operation operation : Operation.values()) {
            for (Reduction reduction : Reduction.values()) {
                checks.emptyBatch(operation, reduction);
                checks.allIgnored(operation, reduction);
                checks.targetsOutOfRange(operation, reduction);
            }
        }
        checks.oneClass();
        checks.weightsThatAddUpToZero();
        AccumulationEdges.add(backend, edges);
        return edges.all();
    }

    private void emptyBatch(Operation operation, Reduction reduction) {
        int[] expected = switch (reduction) {
            case NONE -> new int[0];
            case SUM -> new int[] {0};
            case MEAN -> new int[] {NAN};
        };
        bits(operation, "empty batch, " + reduction, reduction, new float[0], new long[0], expected, new int[0]);
    }

    private void allIgnored(Operation operation, Reduction reduction) {
        int[] expected = switch (reduction) {
            case NONE -> new int[] {0, 0};
            case SUM -> new int[] {0};
            case MEAN -> new int[] {NAN};
        };
        bits(operation, "all rows ignored, " + reduction, reduction,
                new float[] {1, Float.NaN, 2, 3, Float.POSITIVE_INFINITY, 4},
                new long[] {-100, -100}, expected, new int[6]);
    }

    private void oneClass() {
        try (var slab = new Slab(backend);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            Operand logits = put(slab.place(DType.F32, Placement.NATIVE, 0, 1, 1), new float[] {-7});
            Operand targets = slab.place(DType.I64, Placement.NATIVE, 0, 1);
            targets.set(new long[1]);
            targets.upload();
            Operand loss = slab.place(DType.F32, Placement.NATIVE, 0);
            loss.upload();
            op.lossAndGradient(logits.tensor(), targets.tensor(), loss.tensor(), logits.tensor());
            loss.download();
            logits.download();
            edges.compare("one class", "loss", loss.bits(), new int[1]);
            edges.compare("one class", "gradient", logits.bits(), new int[1]);
        }
    }

    /** Negative log-likelihood of classes that weigh nothing: 0/0. */
    private void weightsThatAddUpToZero() {
        try (var slab = new Slab(backend); NllLoss op = NllLoss.on(backend, NllLossOptions.defaults())) {
            var operands = new Operands(slab, Reduction.MEAN, new float[] {-1, -2, -3}, new long[] {1});
            Operand weights = put(slab.place(DType.F32, Placement.NATIVE, 0, CLASSES), new float[] {1, 0, 1});
            op.lossAndGradient(NllLossOperands.of(operands.logits.tensor(), operands.targets.tensor())
                    .withClassWeights(weights.tensor()), operands.loss.tensor(), operands.gradLogits.tensor());
            operands.download();
            String check = "NllLoss: weights that add up to 0";
            edges.compare(check, "loss", operands.loss.bits(), new int[] {NAN});
            edges.compare(check, "gradient", operands.gradLogits.bits(), new int[] {0, NAN, 0});
        }
    }

    private void bits(Operation operation, String what, Reduction reduction, float[] z, long[] t, int[] expectedLoss,
            int[] expectedGradient) {
        String check = operation.prefix + what;
        try (var slab = new Slab(backend); RowLoss op = operation.on(backend, reduction)) {
            var operands = new Operands(slab, reduction, z, t);
            operands.run(op);
            edges.compare(check, "loss", operands.loss.bits(), expectedLoss);
            edges.compare(check, "gradient", operands.gradLogits.bits(), expectedGradient);
        }
    }

    /** In host memory an exception before anything is written; on a device NaN rows, told at synchronisation. */
    private void targetsOutOfRange(Operation operation, Reduction reduction) {
        String check = operation.prefix + "targets out of range, " + reduction;
        float[] z = new float[BAD_TARGETS.length * CLASSES];
        try (var slab = new Slab(backend); RowLoss op = operation.on(backend, reduction)) {
            var operands = new Operands(slab, reduction, z, BAD_TARGETS);
            if (backend.usesHostMemory()) {
                String message = null;
                try {
                    operands.run(op);
                } catch (IllegalArgumentException e) {
                    message = String.valueOf(e.getMessage());
                }
                edges.add(check,
                        message != null && message.contains("target 5 in row 1") && message.contains("3 of 5 rows"),
                        message == null ? "no exception" : "the message is: " + message);
                int[] untouched = new int[operands.loss.bits().length];
                Arrays.fill(untouched, Slab.POISON);
                edges.compare(check, "loss", operands.loss.bits(), untouched);
                untouched = new int[z.length];
                Arrays.fill(untouched, Slab.POISON);
                edges.compare(check, "gradient", operands.gradLogits.bits(), untouched);
                return;
            }
            operands.invoke(op);
            try {
                backend.defaultStream().synchronize();
                edges.add(check, false, "no exception");
            } catch (TargetOutOfRangeException e) {
                edges.add(check, e.firstRow() == 1 && e.firstTarget() == 5 && e.count() == 3,
                        "first row " + e.firstRow() + ", target " + e.firstTarget() + ", count " + e.count());
            }
            operands.download();
            for (int row = 0; row < BAD_TARGETS.length; row++) {
                boolean bad = BAD_TARGETS[row] < 0 || BAD_TARGETS[row] >= CLASSES;
                int[] gradient = Arrays.copyOfRange(operands.gradLogits.bits(), row * CLASSES, (row + 1) * CLASSES);
                boolean isNan = Arrays.stream(gradient).allMatch(bits -> bits == NAN);
                edges.add(check, isNan == bad, "gradient of row " + row + " is " + Edges.hex(gradient));
                if (reduction == Reduction.NONE) {
                    edges.add(check, operands.loss.bits()[row] == NAN == bad,
                            "loss of row " + row + " is " + Edges.hex(operands.loss.bits()));
                }
            }
        }
    }

    private Operand put(Operand operand, float[] values) {
        operand.set(values);
        operand.upload();
        return operand;
    }

    /** Operands of one call. */
    private final class Operands {
        private final Operand logits;
        private final Operand targets;
        private final Operand loss;
        private final Operand gradLogits;

        Operands(Slab slab, Reduction reduction, float[] z, long[] t) {
            logits = put(slab.place(DType.F32, Placement.NATIVE, 0, t.length, CLASSES), z);
            targets = slab.place(DType.I64, Placement.NATIVE, 0, t.length);
            targets.set(t);
            targets.upload();
            loss = reduction == Reduction.NONE
                    ? slab.place(DType.F32, Placement.NATIVE, 0, t.length)
                    : slab.place(DType.F32, Placement.NATIVE, 0);
            loss.upload();
            gradLogits = slab.place(DType.F32, Placement.NATIVE, 0, t.length, CLASSES);
            gradLogits.upload();
        }

        void run(RowLoss op) {
            invoke(op);
            download();
        }

        void invoke(RowLoss op) {
            op.lossAndGradient(logits.tensor(), targets.tensor(), loss.tensor(), gradLogits.tensor());
        }

        void download() {
            loss.download();
            gradLogits.download();
        }
    }
}
