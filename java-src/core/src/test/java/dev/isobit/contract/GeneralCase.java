package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.AllIgnored;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.contract.CrossEntropyCase.Wanted;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** One call of cross-entropy with options and any operands, drawn from a seed. */
public final class GeneralCase {
    /** Results; an array is empty where they were not asked for. */
    public record Outcome(float[] loss, float[] gradLogits, float[] lse, float[] entropy, long[] argmax, long[] hits,
            float[] logProbabilities, float[] states) {}

    /** Options of the operation. */
    public final CrossEntropyOptions options;
    final Wanted wanted;
    final LogitsKind kind;
    private final long seed;
    private final int batch;
    final int classes;
    private final int stride;
    private final int inner;
    final int rows;
    private final long[] shape;
    private final long[] rowShape;

    final DType targetType;
    final float[] logits;
    final long[] targets;
    final float[] probabilities;
    final float[] classWeights;
    final float[] weights;
    final float[] gradLoss;
    final boolean gradLossPerRow;
    final float gradLossScale;
    final float denominator;
    private final float[] previous;
    private final boolean wantsLse;
    private final boolean wantsEntropy;
    private final boolean wantsArgmax;
    private final boolean wantsHits;
    private final boolean wantsLogProbabilities;
    private final boolean wantsStates;
    /** Whether a gradient that is asked for alone comes from the states. */
    private final boolean savesStates;

    /**
     * Draws a case.
     *
     * @param seed what decides
     * @param kind kind of the rows
     * @param wild whether weights, labels and upstream may be anything
     * @param batch N
     * @param classes C
     * @param dims d1, .., dk
     */
    public GeneralCase(long seed, LogitsKind kind, boolean wild, int batch, int classes, long... dims) {
        SplittableRandom random = new SplittableRandom(seed);
        this.seed = seed;
        this.kind = kind;
        this.batch = batch;
        this.classes = classes;
        inner = (int) Arrays.stream(dims).reduce(1, (a, b) -> a * b);
        rows = batch * inner;
        boolean padded = random.nextInt(4) == 0;
        stride = padded ? classes + random.nextInt(9) : classes;
        shape = new long[2 + dims.length];
        rowShape = new long[1 + dims.length];
        shape[0] = batch;
        shape[1] = stride;
        rowShape[0] = batch;
        System.arraycopy(dims, 0, shape, 2, dims.length);
        System.arraycopy(dims, 0, rowShape, 1, dims.length);
        boolean accumulates = random.nextInt(4) == 0;
        Wanted any = Wanted.values()[random.nextInt(Wanted.values().length)];
        wanted = accumulates && any.inPlace() ? Wanted.BOTH : any;
        boolean soft = random.nextInt(4) == 0;
        long ignoreIndex = new long[] {-100, 0, classes - 1, random.nextInt(classes), -1}[random.nextInt(5)];
        DType[] types = {DType.I64, DType.I32, DType.I16, DType.U8};
        DType type = types[random.nextInt(4)];
        boolean fits = type == DType.U8 ? classes <= 256 && ignoreIndex >= 0 : classes <= 1 << 15;
        targetType = soft ? DType.F32 : fits || type == DType.I32 ? type : DType.I64;
        options = new CrossEntropyOptions(Reduction.values()[random.nextInt(3)], ignoreIndex,
                new double[] {0, 0, 0.1, 1}[random.nextInt(4)], new double[] {0, 0, 1e-4, 0.5}[random.nextInt(4)],
                new double[] {0, 0, 30, 1.5}[random.nextInt(4)], new double[] {1, 1, 1.7, 1e-3}[random.nextInt(4)],
                Denominator.values()[random.nextInt(3)], AllIgnored.values()[random.nextInt(2)], accumulates,
                padded ? classes : 0);
        boolean divides = options.denominator() == Denominator.OPERAND && options.reduction() == Reduction.MEAN;
        denominator = divides ? new float[] {7, 0.3f, wild ? 0 : 1}[random.nextInt(3)] : 0;
        classWeights = random.nextBoolean() ? weights(random, wild, classes) : null;
        weights = random.nextBoolean() ? weights(random, wild, rows) : null;
        gradLossPerRow = options.reduction() == Reduction.NONE && random.nextBoolean();
        gradLoss = random.nextBoolean() ? upstream(random, wild, gradLossPerRow ? rows : 1) : null;
        gradLossScale = random.nextInt(3) == 0 ? -0.7f : 1;
        wantsLse = random.nextInt(3) == 0;
        wantsEntropy = random.nextInt(3) == 0;
        wantsArgmax = random.nextInt(3) == 0;
        wantsHits = !soft && random.nextInt(3) == 0;
        wantsLogProbabilities = random.nextInt(3) == 0;
        savesStates = random.nextInt(3) == 0;
        wantsStates = random.nextInt(3) == 0;

        logits = new float[batch * stride * inner];
        Arrays.fill(logits, Float.NaN);
        targets = soft ? null : new long[rows];
        probabilities = soft ? new float[logits.length] : null;
        float[] row = new float[classes];
        for (int r = 0; r < rows; r++) {
            kind.fill(row, random);
            int largest = 0;
            for (int k = 0; k < classes; k++) {
                logits[at(r, k)] = row[k];
                largest = row[k] > row[largest] ? k : largest;
            }
            if (soft) {
                fillLabel(random, wild, r);
            } else {
                targets[r] = random.nextInt(5) == 0 && (targetType != DType.U8 || ignoreIndex >= 0)
                        ? ignoreIndex
                        : random.nextInt(3) == 0 ? largest : random.nextInt(classes);
            }
        }
        previous = new float[logits.length];
        for (int i = 0; i < previous.length; i++) {
            previous[i] = LogitsKind.gaussian(random);
        }
    }

    private void fillLabel(SplittableRandom random, boolean wild, int row) {
        double sum = 0;
        int only = random.nextInt(3) == 0 ? random.nextInt(classes) : -1;
        float[] label = new float[classes];
        for (int k = 0; k < classes; k++) {
            label[k] = only >= 0 ? (k == only ? 1 : 0) : random.nextInt(4) == 0 ? 0 : (float) random.nextDouble();
            sum += label[k];
        }
        for (int k = 0; k < classes; k++) {
            float share = (float) (sum == 0 ? 0 : label[k] / sum);
            probabilities[at(row, k)] = wild && random.nextInt(9) == 0
                    ? new float[] {-1, 2, Float.POSITIVE_INFINITY, Float.NaN, 1e-40f}[random.nextInt(5)]
                    : share;
        }
    }

    private static float[] weights(SplittableRandom random, boolean wild, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = wild && random.nextInt(5) == 0
                    ? new float[] {0, -0f, -1, Float.POSITIVE_INFINITY, Float.NaN, 1e-40f}[random.nextInt(6)]
                    : random.nextInt(6) == 0 ? 0 : (float) random.nextDouble() * 2;
        }
        return values;
    }

    private static float[] upstream(SplittableRandom random, boolean wild, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = wild && random.nextInt(3) == 0
                    ? new float[] {0, -0f, -1e-40f, 3e38f, Float.NaN, Float.NEGATIVE_INFINITY}[random.nextInt(6)]
                    : LogitsKind.gaussian(random);
        }
        return values;
    }

    /** Where a class of a row stands. */
    int at(int row, int k) {
        return (row / inner * stride + k) * inner + row % inner;
    }

    /**
     * Runs the case and sees that nothing but the outputs was written.
     *
     * @param op the operation, with this case's options
     * @param block room for operands
     * @return what was written
     */
    public Outcome run(CrossEntropy op, OperandBlock block) {
        SplittableRandom random = new SplittableRandom(seed + 1);
        block.begin(20L * logits.length + 128L * rows + 4L * classes + 512, 16);
        boolean aligned = random.nextInt(3) == 0;
        Tensor x = block.floats(logits, skip(random, aligned), shape);
        Tensor t = probabilities != null
                ? block.floats(probabilities, skip(random, aligned), shape)
                : block.indices(targetType, targets, random.nextInt(8), rowShape);
        var operands = CrossEntropyOperands.of(x, t).withGradLossScale(gradLossScale);
        if (classWeights != null) {
            operands = operands.withClassWeights(block.floats(classWeights, skip(random, aligned), classes));
        }
        if (weights != null) {
            operands = operands.withWeights(block.floats(weights, skip(random, aligned), rowShape));
        }
        if (gradLoss != null) {
            operands = operands.withGradLoss(
                    block.floats(gradLoss, skip(random, aligned), gradLossPerRow ? rowShape : new long[0]));
        }
        if (options.denominator() == Denominator.OPERAND && options.reduction() == Reduction.MEAN) {
            operands = operands.withDenominator(block.floats(new float[] {denominator}, 3));
        }
        CrossEntropyOperands gradientAlone = operands;
        List<Tensor> outputs = new ArrayList<>();
        Tensor lseOut = block.room(DType.F32, skip(random, aligned), rowShape);
        Tensor entropyOut = block.room(DType.F32, skip(random, aligned), rowShape);
        Tensor argmaxOut = block.room(DType.I64, random.nextInt(8), rowShape);
        Tensor hitsOut = block.room(DType.I64, random.nextInt(8));
        operands = wantsLse ? operands.withLse(add(outputs, lseOut)) : operands;
        operands = wantsEntropy ? operands.withEntropy(add(outputs, entropyOut)) : operands;
        operands = wantsArgmax ? operands.withArgmax(add(outputs, argmaxOut)) : operands;
        operands = wantsHits ? operands.withHits(add(outputs, hitsOut)) : operands;
        Tensor logProbabilitiesOut = block.room(DType.F32, skip(random, aligned), shape);
        operands = wantsLogProbabilities
                ? operands.withLogProbabilities(add(outputs, logProbabilitiesOut))
                : operands;
        CrossEntropyOperands fromStates = operands;
        long[] stateShape = op.stateShape(x);
        Tensor statesOut = block.room(DType.F32, skip(random, aligned), stateShape);
        boolean saves = savesStates && wanted.gradient() && !wanted.loss();
        operands = wantsStates || saves ? operands.withStates(add(outputs, statesOut)) : operands;
        boolean perRow = options.reduction() == Reduction.NONE;
        Tensor lossOut = block.room(DType.F32, skip(random, aligned), perRow ? rowShape : new long[0]);
        Tensor gradOut = wanted.inPlace() ? x : block.floats(previous, skip(random, aligned), shape);
        if (wanted.loss() || saves) {
            outputs.add(lossOut);
        }
        if (wanted.gradient()) {
            outputs.add(gradOut);
        }
        block.upload();
        if (!wanted.gradient()) {
            op.loss(operands, lossOut);
        } else if (saves) {
            op.loss(operands, lossOut);
            // What has been written already is written once more, or is not.
            op.gradient((seed % 2 == 0 ? fromStates : gradientAlone).withSavedStates(statesOut), gradOut);
        } else if (!wanted.loss()) {
            op.gradient(operands, gradOut);
        } else {
            op.lossAndGradient(operands, lossOut, gradOut);
        }
        block.download();
        block.assertUntouchedBut(this, outputs.toArray(Tensor[]::new));
        float[] none = {};
        return new Outcome(wanted.loss() ? block.read(lossOut) : none, wanted.gradient() ? block.read(gradOut) : none,
                wantsLse ? block.read(lseOut) : none, wantsEntropy ? block.read(entropyOut) : none,
                wantsArgmax ? block.readLongs(argmaxOut) : new long[0],
                wantsHits ? block.readLongs(hitsOut) : new long[0],
                wantsLogProbabilities ? block.read(logProbabilitiesOut) : none,
                wantsStates ? block.read(statesOut) : none);
    }

    private static Tensor add(List<Tensor> outputs, Tensor output) {
        outputs.add(output);
        return output;
    }

    private static int skip(SplittableRandom random, boolean aligned) {
        return aligned ? 0 : random.nextInt(16);
    }

    /** Runs the case on the reference, in float64 results: loss, gradient, lse, entropy, log-probabilities. */
    double[][] exact(CrossEntropy reference) {
        boolean none = options.reduction() == Reduction.NONE;
        double[][] results = {new double[none ? rows : 1], new double[logits.length], new double[rows],
            new double[rows], new double[logits.length]};
        for (int i = 0; i < logits.length; i++) {
            results[1][i] = options.accumulate() ? previous[i] : 0;
        }
        Tensor t = probabilities != null ? Tensor.of(probabilities, shape) : Tensor.of(targets, rowShape);
        var operands = CrossEntropyOperands.of(Tensor.of(logits, shape), t).withGradLossScale(gradLossScale)
                .withLse(Tensor.of(results[2], rowShape)).withEntropy(Tensor.of(results[3], rowShape))
                .withLogProbabilities(Tensor.of(results[4], shape));
        operands = classWeights == null ? operands : operands.withClassWeights(Tensor.of(classWeights, classes));
        operands = weights == null ? operands : operands.withWeights(Tensor.of(weights, rowShape));
        operands = gradLoss == null
                ? operands
                : operands.withGradLoss(gradLossPerRow ? Tensor.of(gradLoss, rowShape) : Tensor.of(gradLoss));
        if (options.denominator() == Denominator.OPERAND && options.reduction() == Reduction.MEAN) {
            operands = operands.withDenominator(Tensor.of(new float[] {denominator}));
        }
        reference.lossAndGradient(operands, none ? Tensor.of(results[0], rowShape) : Tensor.of(results[0]),
                Tensor.of(results[1], shape));
        return results;
    }

    /**
     * What the contract says.
     *
     * @return results that are asked for
     */
    public Outcome expected() {
        var definition = new GeneralDefinition(options, classes, classWeights, wantsEntropy, wantsArgmax || wantsHits);
        boolean mean = options.reduction() == Reduction.MEAN;
        float[] shares = new float[rows];
        for (int r = 0; r < rows && targets != null; r++) {
            shares[r] = definition.share(targets[r], weights == null ? 1 : weights[r]);
        }
        double divisor = switch (options.denominator()) {
            case ROWS -> rows;
            case OPERAND -> denominator;
            case WEIGHTS -> targets == null ? rows : GeneralDefinition.sum(shares);
        };
        boolean zero = mean && divisor == 0 && options.allIgnored() == AllIgnored.ZERO;
        divisor = divisor == 0 ? Double.NaN : divisor;
        float[] rowLoss = new float[rows];
        float[] rowLse = new float[rows];
        float[] rowEntropy = new float[rows];
        long[] predicted = new long[rows];
        long right = 0;
        float[] gradient = new float[logits.length];
        for (int i = 0; i < gradient.length; i++) {
            gradient[i] = options.accumulate() ? previous[i] : 0;
        }
        float[] states = {};
        float[] logarithms = new float[logits.length];
        Arrays.fill(logarithms, Float.NEGATIVE_INFINITY);
        for (int r = 0; r < rows; r++) {
            float[] x = new float[classes];
            float[] label = probabilities == null ? null : new float[classes];
            float[] before = new float[classes];
            for (int k = 0; k < classes; k++) {
                x[k] = logits[at(r, k)];
                before[k] = previous[at(r, k)];
                if (label != null) {
                    label[k] = probabilities[at(r, k)];
                }
            }
            double upstream = (double) gradLossScale * (gradLoss == null ? 1 : gradLoss[gradLossPerRow ? r : 0]);
            upstream = zero ? 0 : mean ? upstream / divisor : upstream;
            long target = targets == null ? -1 : targets[r];
            definition.row(x, target, label, weights == null ? 1 : weights[r], upstream, before);
            if (r == 0) {
                states = new float[rows * definition.states.length];
            }
            for (int i = 0; i < definition.states.length; i++) {
                int segment = i / GeneralDefinition.STATE;
                states[(segment * rows + r) * GeneralDefinition.STATE + i % GeneralDefinition.STATE] =
                        definition.states[i];
            }
            rowLoss[r] = definition.loss;
            rowLse[r] = definition.lse;
            rowEntropy[r] = definition.entropy;
            predicted[r] = definition.argmax;
            right += targets != null && target != options.ignoreIndex() && definition.argmax == target ? 1 : 0;
            for (int k = 0; k < classes; k++) {
                gradient[at(r, k)] = definition.gradient[k];
                logarithms[at(r, k)] = definition.logProbabilities[k];
            }
        }
        float[] expectedLoss = rowLoss;
        if (options.reduction() != Reduction.NONE) {
            double total = GeneralDefinition.sum(rowLoss);
            float reduced = zero ? 0 : (float) (mean ? total / divisor : total);
            expectedLoss = new float[] {CrossEntropyDefinition.canonical(reduced)};
        }
        float[] none = {};
        return new Outcome(wanted.loss() ? expectedLoss : none, wanted.gradient() ? gradient : none,
                wantsLse ? rowLse : none, wantsEntropy ? rowEntropy : none, wantsArgmax ? predicted : new long[0],
                wantsHits ? new long[] {right} : new long[0], wantsLogProbabilities ? logarithms : none,
                wantsStates ? states : none);
    }

    /** Runs the case and compares with the definition; returns how many elements were compared. */
    long check(CrossEntropy op, OperandBlock block) {
        Outcome found = run(op, block);
        Outcome expected = expected();
        assertArrayEquals(expected.argmax, found.argmax, this + " argmax");
        assertArrayEquals(expected.hits, found.hits, this + " hits");
        return Bits.assertSame(this + " loss", expected.loss, found.loss)
                + Bits.assertSame(this + " lse", expected.lse, found.lse)
                + Bits.assertSame(this + " entropy", expected.entropy, found.entropy)
                + Bits.assertSame(this + " gradient", expected.gradLogits, found.gradLogits)
                + Bits.assertSame(this + " log-probabilities", expected.logProbabilities, found.logProbabilities)
                + Bits.assertSame(this + " states", expected.states, found.states);
    }

    @Override
    public String toString() {
        return "GeneralCase " + Arrays.toString(shape) + " of " + classes + " " + kind + " " + options + " " + wanted
                + " targets " + targetType + (classWeights == null ? "" : " classWeights")
                + (weights == null ? "" : " weights") + (gradLoss == null ? "" : " gradLoss") + " seed " + seed;
    }
}
