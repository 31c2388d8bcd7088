package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.AllIgnored;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import dev.isobit.math.ExactMath;
import dev.isobit.spi.CrossEntropyCall;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One batch of cross-entropy with a combination of options and operands that the seed draws.
 *
 * @param batch N
 * @param classes C
 * @param inner d1, the size of an axis behind the classes; 0: none
 * @param logits kind of logits
 * @param seed of everything else
 * @param dtype of the logits and their gradient
 */
record GeneralCrossEntropyProblem(int batch, int classes, int inner, Logits logits, long seed, DType dtype)
        implements
            Problem {
    GeneralCrossEntropyProblem(int batch, int classes, int inner, Logits logits, long seed) {
        this(batch, classes, inner, logits, seed, DType.F32);
    }

    /** Kinds of logits. */
    enum Logits {
        /** Mean 0, standard deviation 2. */
        NORMAL,
        /** Standard deviation 40: most exponentials vanish. */
        WIDE,
        /** One logit far above the others. */
        CONFIDENT,
        /** Three in ten are -inf. */
        MASKED,
        /** Few distinct values: several maxima. */
        TIES,
        /** A NaN or +inf in some rows. */
        NAN
    }

    private static final float[] UPSTREAMS = {0.125f, -3, 1, 1e-30f, 1e30f, 0, -0.7f};
    private static final Form IN_PLACE = new Form("in place", Form.Call.IN_PLACE, Placement.NATIVE);
    private static final List<Form> FORMS = List.of(new Form("loss and gradient", Form.Call.WHOLE, Placement.HEAP),
            new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED),
            new Form("loss alone", Form.Call.LOSS, Placement.NATIVE),
            new Form("gradient alone", Form.Call.GRADIENT, Placement.SHIFTED),
            new Form("gradient from states", Form.Call.SAVED, Placement.NATIVE),
            new Form("shards of the classes", Form.Call.SHARDS, Placement.SHIFTED));
    private static final int MOST_SHARDS = 3;

    @Override
    public String operation() {
        return "CrossEntropy with options";
    }

    @Override
    public String inputs() {
        return logits.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String name() {
        return "CrossEntropy with options " + (dtype == DType.F32 ? "" : dtype + " ") + "[" + batch + ", " + classes
                + (inner == 0 ? "" : ", " + inner) + "] "
                + inputs() + ", seed " + seed;
    }

    @Override
    public Prepared prepare() {
        return new Inputs();
    }

    /** Options and operands of this problem. */
    private final class Inputs implements Prepared {
        private final CrossEntropyOptions options;
        private final int rows = batch * Math.max(1, inner);
        private final int stride;
        private final long[] shape;
        private final long[] rowShape;
        private final long[] stateShape;
        private final float[] x;
        private final long @Nullable [] targets;
        private final DType targetType;
        private final float @Nullable [] probabilities;
        private final DType labelType;
        private final float @Nullable [] classWeights;
        private final float @Nullable [] weights;
        private final float @Nullable [] gradLoss;
        private final boolean gradLossPerRow;
        private final float[] previous;
        private final int shift;
        /**
         * Of 16 bits no power of two: where p is nearly 1, what is added to a gradient would come to lie in the middle of
         * two values, and float32 could not tell on which side.
         */
        private final float gradLossScale = dtype == DType.F32 ? 0.5f : 0.7f;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            boolean padded = rng.nextInt(4) == 0;
            stride = padded ? classes + 1 + rng.nextInt(5) : classes;
            shape = inner == 0 ? new long[] {batch, stride} : new long[] {batch, stride, inner};
            rowShape = inner == 0 ? new long[] {batch} : new long[] {batch, inner};
            stateShape = new long[rowShape.length + 2];
            stateShape[0] = Math.ceilDiv(classes, CrossEntropyCall.SEGMENT);
            System.arraycopy(rowShape, 0, stateShape, 1, rowShape.length);
            stateShape[rowShape.length + 1] = CrossEntropyCall.STATE;
            boolean soft = rng.nextInt(4) == 0;
            long ignore = rng.nextInt(3) == 0 ? classes / 2 : CrossEntropyOptions.DEFAULT_IGNORE_INDEX;
            options = new CrossEntropyOptions(pick(rng, Reduction.values()), ignore,
                    new double[] {0, 0, 0.1, 1}[rng.nextInt(4)], new double[] {0, 0, 1e-4, 0.5}[rng.nextInt(4)],
                    new double[] {0, 0, 30}[rng.nextInt(3)], new double[] {1, 1, 1.7}[rng.nextInt(3)],
                    pick(rng, Denominator.values()), pick(rng, AllIgnored.values()), rng.nextInt(4) == 0,
                    padded ? classes : 0);
            targetType = ignore >= 0 && classes <= 256 && rng.nextInt(2) == 0
                    ? DType.U8
                    : classes <= Short.MAX_VALUE && rng.nextInt(2) == 0 ? DType.I16 : DType.I64;
            x = new float[batch * stride * Math.max(1, inner)];
            probabilities = soft ? new float[x.length] : null;
            targets = soft ? null : new long[rows];
            for (int row = 0; row < rows; row++) {
                fill(rng, row);
            }
            classWeights = rng.nextInt(2) == 0 ? weights(rng, classes) : null;
            weights = rng.nextInt(2) == 0 ? weights(rng, rows) : null;
            gradLossPerRow = options.reduction() == Reduction.NONE && rng.nextInt(2) == 0;
            gradLoss = rng.nextInt(2) == 0 ? new float[gradLossPerRow ? rows : 1] : null;
            for (int i = 0; gradLoss != null && i < gradLoss.length; i++) {
                gradLoss[i] = UPSTREAMS[rng.nextInt(UPSTREAMS.length)];
            }
            previous = new float[x.length];
            for (int i = 0; options.accumulate() && i < previous.length; i++) {
                previous[i] = Slab.rounded(dtype, rng.nextNormal());
            }
            labelType = seed % 2 == 0 ? dtype : DType.F32;
            for (int i = 0; i < x.length; i++) {
                x[i] = Slab.rounded(dtype, x[i]);
                if (probabilities != null) {
                    probabilities[i] = Slab.rounded(labelType, probabilities[i]);
                }
            }
        }

        private static <T> T pick(Rng rng, T[] of) {
            return of[rng.nextInt(of.length)];
        }

        private static float[] weights(Rng rng, int count) {
            float[] values = new float[count];
            for (int i = 0; i < count; i++) {
                values[i] = rng.nextInt(10) == 0 ? 0 : 2 * rng.nextFloat();
            }
            return values;
        }

        private int at(int row, int k) {
            int across = Math.max(1, inner);
            return (row / across * stride + k) * across + row % across;
        }

        private void fill(Rng rng, int row) {
            int target = rng.nextInt(classes);
            for (int k = 0; k < stride; k++) {
                float normal = 2 * rng.nextNormal();
                x[at(row, k)] = switch (logits) {
                    case NORMAL, CONFIDENT, NAN -> normal;
                    case WIDE -> 20 * normal;
                    case MASKED -> k != target && rng.nextInt(10) < 3 ? Float.NEGATIVE_INFINITY : normal;
                    case TIES -> 0.75f * rng.nextInt(4);
                };
            }
            if (logits == Logits.CONFIDENT) {
                x[at(row, rng.nextInt(classes))] = 10 + 90 * rng.nextFloat();
            }
            if (logits == Logits.NAN && rng.nextInt(3) > 0) {
                x[at(row, rng.nextInt(classes))] = rng.nextInt(2) == 0 ? Float.NaN : Float.POSITIVE_INFINITY;
            }
            if (targets != null) {
                targets[row] = rng.nextInt(5) == 0 && (targetType != DType.U8 || options.ignoreIndex() >= 0)
                        ? options.ignoreIndex()
                        : target;
            } else {
                for (int k = 0; k < classes; k++) {
                    Objects.requireNonNull(probabilities)[at(row, k)] =
                            rng.nextInt(3) == 0 ? 0 : rng.nextFloat() / classes;
                }
            }
        }

        @Override
        public List<Form> forms() {
            List<Form> forms = new ArrayList<>(FORMS);
            if (!options.accumulate()) {
                forms.add(IN_PLACE);
            }
            return forms;
        }

        @Override
        public boolean isJudged() {
            return true;
        }

        @Override
        public Results run(Backend backend, Slab slab, Form form) {
            if (form.call() == Form.Call.SHARDS) {
                return new Shards(backend, slab, form).run();
            }
            slab.reset();
            List<Operand> read = new ArrayList<>();
            List<float[]> values = new ArrayList<>();
            Operand logitsAt = input(slab, form, read, values, dtype, x, shape);
            Tensor targetsAt;
            if (probabilities != null) {
                targetsAt = input(slab, form, read, values, labelType, probabilities, shape).tensor();
            } else {
                Operand indices = slab.place(targetType, Placement.NATIVE, shift, rowShape);
                indices.set(Objects.requireNonNull(targets));
                indices.upload();
                targetsAt = indices.tensor();
            }
            CrossEntropyOperands operands =
                    CrossEntropyOperands.of(logitsAt.tensor(), targetsAt).withGradLossScale(gradLossScale);
            operands = withWeights(operands, slab, form, read, values);
            var gradientAlone = operands;
            boolean none = options.reduction() == Reduction.NONE;
            Operand lseAt = output(slab, form, DType.F32, rowShape);
            Operand entropyAt = output(slab, form, DType.F32, rowShape);
            Operand argmaxAt = output(slab, form, DType.I64, rowShape);
            operands = operands.withLse(lseAt.tensor()).withEntropy(entropyAt.tensor()).withArgmax(argmaxAt.tensor());
            Operand hitsAt = output(slab, form, DType.I64);
            operands = targets == null ? operands : operands.withHits(hitsAt.tensor());
            Operand logProbabilitiesAt = output(slab, form, DType.F32, shape);
            Operand statesAt = output(slab, form, DType.F32, stateShape);
            operands = operands.withLogProbabilities(logProbabilitiesAt.tensor()).withStates(statesAt.tensor());
            Operand lossAt = form.call() == Form.Call.GRADIENT
                    ? null
                    : output(slab, form, DType.F32, none ? rowShape : new long[0]);
            Operand gradAt = form.call() == Form.Call.LOSS
                    ? null
                    : form.call() == Form.Call.IN_PLACE ? logitsAt : output(slab, form, dtype, shape);
            if (gradAt != null && options.accumulate()) {
                gradAt.set(previous);
                gradAt.upload();
            }
            try (CrossEntropy op = CrossEntropy.on(backend, options)) {
                if (gradAt == null) {
                    op.loss(operands, Objects.requireNonNull(lossAt).tensor());
                } else if (form.call() == Form.Call.SAVED) {
                    op.loss(operands, Objects.requireNonNull(lossAt).tensor());
                    op.gradient(gradientAlone.withSavedStates(statesAt.tensor()), gradAt.tensor());
                } else if (lossAt == null) {
                    op.gradient(operands, gradAt.tensor());
                } else {
                    op.lossAndGradient(operands, lossAt.tensor(), gradAt.tensor());
                }
            }
            var results = new Results();
            for (int i = 0; i < read.size(); i++) {
                if (read.get(i) != gradAt) {
                    read.get(i).download();
                    results.unchanged("operand " + i, read.get(i), values.get(i));
                }
            }
            put(results, Output.LSE, lseAt);
            put(results, Output.ENTROPY, entropyAt);
            put(results, Output.LOG_PROBABILITIES, logProbabilitiesAt);
            put(results, Output.STATES, statesAt);
            results.put(Output.ARGMAX, longs(results, argmaxAt, rows));
            if (targets != null) {
                results.put(Output.HITS, longs(results, hitsAt, 1));
            }
            if (lossAt != null) {
                put(results, none ? Output.GENERAL_ROW_LOSS : Output.GENERAL_LOSS, lossAt);
            }
            if (gradAt != null) {
                put(results, Output.gradient(dtype, Output.GENERAL_GRADIENT), gradAt);
            }
            return results;
        }

        private boolean divides() {
            return options.denominator() == Denominator.OPERAND && options.reduction() == Reduction.MEAN;
        }

        private static void put(Results results, Output output, Operand operand) {
            operand.download();
            results.put(output, results.written(output.label(), operand));
        }

        /** Whole numbers as the bits of floats, which hold them. */
        private static int[] longs(Results results, Operand operand, int count) {
            operand.download();
            results.guards("integers", operand);
            int[] bits = new int[count];
            for (int i = 0; i < count; i++) {
                bits[i] = Float.floatToRawIntBits(operand.integer(i));
            }
            return bits;
        }

        /** What all shards of a row share: weights and upstream. */
        private CrossEntropyOperands withWeights(CrossEntropyOperands operands, Slab slab, Form form,
                List<Operand> read, List<float[]> values) {
            CrossEntropyOperands all = operands;
            if (classWeights != null) {
                all = all.withClassWeights(input(slab, form, read, values, classWeights, classes).tensor());
            }
            if (weights != null) {
                all = all.withWeights(input(slab, form, read, values, weights, rowShape).tensor());
            }
            if (gradLoss != null) {
                all = all.withGradLoss(
                        input(slab, form, read, values, gradLoss, gradLossPerRow ? rowShape : new long[0]).tensor());
            }
            return divides()
                    ? all.withDenominator(input(slab, form, read, values, new float[] {7}).tensor())
                    : all;
        }

        private Operand input(Slab slab, Form form, List<Operand> read, List<float[]> values, float[] value,
                long... of) {
            return input(slab, form, read, values, DType.F32, value, of);
        }

        private Operand input(Slab slab, Form form, List<Operand> read, List<float[]> values, DType type,
                float[] value, long... of) {
            Operand operand = slab.place(type, form.placement(), shift, of);
            operand.set(value);
            operand.upload();
            read.add(operand);
            values.add(value);
            return operand;
        }

        private Operand output(Slab slab, Form form, DType dtype, long... of) {
            Operand operand = slab.place(dtype, form.placement(), shift, of);
            operand.upload();
            return operand;
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            boolean none = options.reduction() == Reduction.NONE;
            double[] loss = new double[none ? rows : 1];
            double[] gradient = new double[x.length];
            double[] lse = new double[rows];
            double[] entropy = new double[rows];
            double[] logProbabilities = new double[x.length];
            double[] states = new double[(int) Arrays.stream(stateShape).reduce(1, (a, b) -> a * b)];
            long[] argmax = new long[rows];
            long[] hits = new long[1];
            for (int i = 0; i < gradient.length; i++) {
                gradient[i] = previous[i];
            }
            var operands = CrossEntropyOperands
                    .of(Tensor.of(x, shape), probabilities != null
                            ? Tensor.of(probabilities, shape)
                            : Tensor.of(Objects.requireNonNull(targets), rowShape))
                    .withGradLossScale(gradLossScale).withLse(Tensor.of(lse, rowShape))
                    .withEntropy(Tensor.of(entropy, rowShape))
                    .withArgmax(Tensor.of(argmax, rowShape)).withLogProbabilities(Tensor.of(logProbabilities, shape))
                    .withStates(Tensor.of(states, stateShape));
            operands = targets == null ? operands : operands.withHits(Tensor.of(hits));
            operands = classWeights == null ? operands : operands.withClassWeights(Tensor.of(classWeights, classes));
            operands = weights == null ? operands : operands.withWeights(Tensor.of(weights, rowShape));
            operands = gradLoss == null
                    ? operands
                    : operands.withGradLoss(gradLossPerRow ? Tensor.of(gradLoss, rowShape) : Tensor.of(gradLoss));
            operands = divides() ? operands.withDenominator(Tensor.of(new float[] {7})) : operands;
            try (CrossEntropy op = CrossEntropy.on(reference, options)) {
                op.lossAndGradient(operands, none ? Tensor.of(loss, rowShape) : Tensor.of(loss),
                        Tensor.of(gradient, shape));
            }
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            exact.put(none ? Output.GENERAL_ROW_LOSS : Output.GENERAL_LOSS, loss);
            exact.put(Output.gradient(dtype, Output.GENERAL_GRADIENT), gradient);
            exact.put(Output.LSE, lse);
            exact.put(Output.ENTROPY, entropy);
            exact.put(Output.LOG_PROBABILITIES, logProbabilities);
            exact.put(Output.STATES, states);
            exact.put(Output.ARGMAX, Arrays.stream(argmax).asDoubleStream().toArray());
            if (targets != null) {
                exact.put(Output.HITS, new double[] {hits[0]});
            }
            return exact;
        }

        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            double summed = CrossEntropyProblem.additions(rows) / 2.0;
            boolean mean = options.reduction() == Reduction.MEAN;
            // These start where the softcap has done its work.
            boolean capped = options.softcap() != 0 && output != Output.LOG_PROBABILITIES && output != Output.STATES;
            boolean isGradient = output == Output.gradient(dtype, Output.GENERAL_GRADIENT);
            double budget = output.budget() * (capped && output.budget() > 0 ? 8 : 1)
                    + (output == Output.GENERAL_LOSS ? 2 * summed : 0)
                    + (isGradient && mean ? summed : 0);
            if (isGradient) {
                for (int row = 0; row < rows; row++) {
                    new Row(row).judgeGradient(expected, actual, judge, budget);
                }
                for (int i = 0; i < expected.length; i++) {
                    if (i / Math.max(1, inner) % stride >= classes) {
                        judge(judge, i, expected[i], actual[i], expected[i], 1, 0);
                    }
                }
                return;
            }
            double sum = 0;
            for (int row = 0; output == Output.GENERAL_LOSS && row < rows; row++) {
                sum += new Row(row).lossAddend();
            }
            for (int i = 0; i < expected.length; i++) {
                double magnitude = switch (output) {
                    case LSE -> new Row(i).largest;
                    case GENERAL_ROW_LOSS -> new Row(i).lossAddend();
                    case GENERAL_LOSS -> mean ? sum / denominator() : sum;
                    default -> expected[i];
                };
                judge.add(GeneralCrossEntropyProblem.this, i, expected[i], actual[i],
                        Math.max(Math.abs(expected[i]), Double.isFinite(magnitude) ? magnitude : 0), 1, budget);
            }
        }

        /** Of the gradient. */
        private void judge(Judge judge, int i, double expected, int actual, double magnitude, double upstream,
                double budget) {
            if (dtype == DType.F32) {
                judge.add(GeneralCrossEntropyProblem.this, i, expected, actual, magnitude, upstream, budget);
            } else {
                judge.addNarrow(dtype, GeneralCrossEntropyProblem.this, i, expected, actual, magnitude, upstream,
                        options.softcap() != 0);
            }
        }

        private double denominator() {
            if (options.reduction() != Reduction.MEAN) {
                return 1;
            }
            if (options.denominator() != Denominator.WEIGHTS) {
                return divides() ? 7 : rows;
            }
            double sum = 0;
            for (int row = 0; row < rows; row++) {
                sum += targets == null ? 1 : targets[row] == options.ignoreIndex() ? 0 : weight(row, targets[row]);
            }
            return sum;
        }

        private double weight(int row, long k) {
            return (weights == null ? 1 : weights[row]) * classWeight((int) k);
        }

        private double classWeight(int k) {
            return classWeights == null ? 1 : classWeights[k];
        }

        /** The classes split over ranks, each with logits of its own; what padding there is belongs to the last. */
        private final class Shards {
            private final Backend backend;
            private final Slab slab;
            private final Form form;
            private final long[] boundaries;
            private final int segments = Math.ceilDiv(classes, CrossEntropyCall.SEGMENT);
            private final float[] allStates = new float[rows * segments * CrossEntropyCall.STATE];
            private final float[] allTargetLogits = new float[rows];
            private final Results results = new Results();
            private final List<Operand> read = new ArrayList<>();
            private final List<float[]> values = new ArrayList<>();

            Shards(Backend backend, Slab slab, Form form) {
                this.backend = backend;
                this.slab = slab;
                this.form = form;
                boundaries = CrossEntropy.shardBoundaries(classes, Math.min(segments, MOST_SHARDS));
            }

            private int end(int rank) {
                return rank == boundaries.length - 2 ? stride : (int) boundaries[rank + 1];
            }

            /** A rank's part of what has the shape of the logits. */
            private float[] slice(float[] all, int rank) {
                int from = (int) boundaries[rank];
                float[] part = new float[rows * (end(rank) - from)];
                for (int i = 0; i < part.length; i++) {
                    part[i] = all[whole(rank, i)];
                }
                return part;
            }

            /** Where an element of a rank's logits stands among all. */
            private int whole(int rank, int i) {
                int across = Math.max(1, inner);
                int count = end(rank) - (int) boundaries[rank];
                int k = i / across % count + (int) boundaries[rank];
                return (i / across / count * stride + k) * across + i % across;
            }

            private long[] shape(int rank) {
                long[] part = shape.clone();
                part[1] = end(rank) - boundaries[rank];
                return part;
            }

            private CrossEntropyOperands operands(int rank) {
                slab.reset();
                read.clear();
                values.clear();
                Tensor logitsAt = input(slab, form, read, values, dtype, slice(x, rank), shape(rank)).tensor();
                Tensor targetsAt;
                if (probabilities != null) {
                    targetsAt = input(slab, form, read, values, labelType, slice(probabilities, rank), shape(rank))
                            .tensor();
                } else {
                    Operand indices = slab.place(targetType, Placement.NATIVE, shift, rowShape);
                    indices.set(Objects.requireNonNull(targets));
                    indices.upload();
                    targetsAt = indices.tensor();
                }
                return withWeights(CrossEntropyOperands.of(logitsAt, targetsAt).withGradLossScale(gradLossScale), slab,
                        form,
                        read, values).withShard(boundaries[rank], classes);
            }

            private void checkInputs() {
                for (int i = 0; i < read.size(); i++) {
                    read.get(i).download();
                    results.unchanged("operand " + i + " of a shard", read.get(i), values.get(i));
                }
            }

            private void states(CrossEntropy op, int rank) {
                CrossEntropyOperands operands = operands(rank);
                Operand entropyAt = output(slab, form, DType.F32, rowShape);
                Operand statesAt = output(slab, form, DType.F32, op.stateShape(operands));
                Operand targetLogitsAt = output(slab, form, DType.F32, rowShape);
                operands = operands.withEntropy(entropyAt.tensor()).withStates(statesAt.tensor())
                        .withArgmax(output(slab, form, DType.I64, rowShape).tensor());
                op.states(targets == null ? operands : operands.withTargetLogits(targetLogitsAt.tensor()));
                checkInputs();
                statesAt.download();
                int[] part = results.written("states of a shard", statesAt);
                int first = (int) boundaries[rank] / CrossEntropyCall.SEGMENT * rows * CrossEntropyCall.STATE;
                for (int i = 0; i < part.length; i++) {
                    allStates[first + i] = Float.intBitsToFloat(part[i]);
                }
                targetLogitsAt.download();
                int[] own = targets == null ? new int[rows] : results.written("targets' logits", targetLogitsAt);
                for (int row = 0; row < rows; row++) {
                    allTargetLogits[row] += Float.intBitsToFloat(own[row]);
                }
            }

            Results run() {
                boolean none = options.reduction() == Reduction.NONE;
                int[] gradient = new int[x.length];
                int[] logProbabilities = new int[x.length];
                try (CrossEntropy op = CrossEntropy.on(backend, options.withClasses(0))) {
                    for (int rank = 0; rank < boundaries.length - 1; rank++) {
                        states(op, rank);
                    }
                    for (int rank = 0; rank < boundaries.length - 1; rank++) {
                        CrossEntropyOperands operands = operands(rank).withSavedStates(
                                input(slab, form, read, values, allStates, stateShape).tensor());
                        operands = targets == null
                                ? operands
                                : operands.withSavedTargetLogits(
                                        input(slab, form, read, values, allTargetLogits, rowShape).tensor());
                        Operand lseAt = output(slab, form, DType.F32, rowShape);
                        Operand entropyAt = output(slab, form, DType.F32, rowShape);
                        Operand lossAt = output(slab, form, DType.F32, none ? rowShape : new long[0]);
                        Operand gradAt = output(slab, form, dtype, shape(rank));
                        if (options.accumulate()) {
                            gradAt.set(slice(previous, rank));
                            gradAt.upload();
                        }
                        Operand argmaxAt = output(slab, form, DType.I64, rowShape);
                        Operand hitsAt = output(slab, form, DType.I64);
                        Operand logProbabilitiesAt = output(slab, form, DType.F32, shape(rank));
                        operands = targets == null ? operands : operands.withHits(hitsAt.tensor());
                        op.lossAndGradient(operands.withLse(lseAt.tensor()).withEntropy(entropyAt.tensor())
                                .withArgmax(argmaxAt.tensor()).withLogProbabilities(logProbabilitiesAt.tensor()),
                                lossAt.tensor(), gradAt.tensor());
                        checkInputs();
                        put(results, Output.LSE, lseAt);
                        put(results, Output.ENTROPY, entropyAt);
                        put(results, none ? Output.GENERAL_ROW_LOSS : Output.GENERAL_LOSS, lossAt);
                        gradAt.download();
                        results.put(Output.ARGMAX, longs(results, argmaxAt, rows));
                        if (targets != null) {
                            results.put(Output.HITS, longs(results, hitsAt, 1));
                        }
                        logProbabilitiesAt.download();
                        int[] part = results.written("gradient of a shard", gradAt);
                        int[] logarithms = results.written("log-probabilities of a shard", logProbabilitiesAt);
                        for (int i = 0; i < part.length; i++) {
                            gradient[whole(rank, i)] = part[i];
                            logProbabilities[whole(rank, i)] = logarithms[i];
                        }
                    }
                }
                results.put(Output.STATES, bits(allStates));
                results.put(Output.LOG_PROBABILITIES, logProbabilities);
                results.put(Output.gradient(dtype, Output.GENERAL_GRADIENT), gradient);
                return results;
            }

            private static int[] bits(float[] values) {
                int[] bits = new int[values.length];
                for (int i = 0; i < bits.length; i++) {
                    bits[i] = Float.floatToRawIntBits(values[i]);
                }
                return bits;
            }
        }

        /** The sizes of the addends of a row's results: where these have opposite signs, ULP are taken there. */
        private final class Row {
            private final int row;
            private final float[] z = new float[classes];
            private final double keep = 1 - options.labelSmoothing();
            private final double smooth = options.labelSmoothing() / classes;
            private double lse;
            private double largest;
            private double mass;

            Row(int row) {
                this.row = row;
                float scale = (float) options.scale();
                float cap = (float) options.softcap();
                float rate = cap == 0 ? 0 : (float) (2 / options.softcap());
                double max = Double.NEGATIVE_INFINITY;
                for (int k = 0; k < classes; k++) {
                    float y = x[at(row, k)] * scale;
                    z[k] = cap == 0 ? y : ExactMath.softcap(y, cap, rate, ExactMath.softcapDecay(y, rate));
                    max = Math.max(max, z[k]);
                    mass += label(k);
                }
                double sum = 0;
                for (float value : z) {
                    sum += Math.exp(value - max);
                }
                lse = max + Math.log(sum);
                largest = Math.max(Math.abs(max), Math.log(sum));
            }

            private double label(int k) {
                return classWeight(k)
                        * (probabilities == null ? smooth : probabilities[at(row, k)] * keep + smooth);
            }

            /** Of what may cancel: the log-sum-exp, squared. */
            double lossAddend() {
                double addend = (weights == null ? 1 : weights[row]) * options.zLoss() * Math.abs(lse) * largest;
                double loss = 0;
                for (int k = 0; k < classes; k++) {
                    boolean isTarget = targets != null && targets[row] == k;
                    double share = label(k) + (isTarget ? keep * classWeight(k) : 0);
                    loss += share == 0 ? 0 : share * (lse - z[k]);
                }
                loss *= weights == null ? 1 : weights[row];
                boolean counts = targets == null || targets[row] != options.ignoreIndex();
                return counts && addend + loss < Float.MAX_VALUE ? addend + loss : 0;
            }

            void judgeGradient(double[] expected, int[] actual, Judge judge, double budget) {
                double upstream =
                        gradLossScale * (gradLoss == null ? 1 : gradLoss[gradLossPerRow ? row : 0]) / denominator();
                // A denominator of 0: NaN, or by option 0.
                upstream = Double.isFinite(upstream) ? upstream : 0;
                double factor = upstream * (weights == null ? 1 : weights[row]);
                for (int k = 0; k < classes; k++) {
                    int i = at(row, k);
                    double p = Math.exp(z[k] - lse);
                    boolean isTarget = targets != null && targets[row] == k;
                    boolean live = targets != null && targets[row] != options.ignoreIndex();
                    double hard = live ? keep * classWeight((int) Objects.requireNonNull(targets)[row]) : 0;
                    double addend = Math.max(Math.max(mass * p, label(k)), Math.max(hard * (isTarget ? 1 - p : p),
                            2 * options.zLoss() * largest * p));
                    double u = options.softcap() == 0
                            ? 1
                            : Math.exp(-2 * Math.abs(x[i] * options.scale()) / options.softcap());
                    double slope = options.scale() * 4 * u / ((1 + u) * (1 + u));
                    double magnitude = Math.max(Math.abs(factor * addend * slope), Math.abs(expected[i]));
                    Inputs.this.judge(judge, i, expected[i], actual[i],
                            Math.max(Math.abs(previous[i]), Double.isFinite(magnitude) ? magnitude : 0), upstream,
                            budget);
                }
            }
        }
    }
}
