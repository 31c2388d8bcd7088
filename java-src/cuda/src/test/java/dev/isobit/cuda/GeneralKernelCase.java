package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.AllIgnored;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * One call of the kernels of cross-entropy with options on the interpreter, options and operands by a seed, compared with
 * the CPU backend.
 */
final class GeneralKernelCase {
    /** Where sums come from. */
    enum Mode {
        /** The logits. */
        WHOLE,
        /** States that the CPU backend has kept. */
        SAVED,
        /** States alone, of the classes from 8192 on. */
        SHARD,
        /** Loss and gradient of these, from states of all. */
        SHARD_SAVED
    }

    private static final int SEGMENT = 8192;
    private static final int STATE = 7;
    private static final int MEAN = 1;
    private static final int SUMMED_DENOMINATOR = 2;
    private static final int GRAD_LOSS_PER_ROW = 4;
    private static final int TARGETS_I32 = 8;
    private static final int TARGETS_I16 = 16;
    private static final int TARGETS_U8 = 32;
    private static final int PROBABILITIES = 64;
    private static final int ACCUMULATE = 128;
    private static final int ZERO = 256;
    private static final int TARGETS_NARROW = 512;
    private static final int ENTROPY = 1024;
    private static final int PLACES = 2048;
    private static final int KEPT = 4096;

    final int batch;
    final int classes;
    final int inner;
    final int rows;
    final DType dtype;
    final boolean column;
    final Mode mode;
    private final long seed;
    private final Random random;
    private final int stride;
    private final int firstClass;
    private final int allClasses;
    private final boolean soft;
    private final DType targetType;
    private final CrossEntropyOptions options;
    private final boolean wantsGradient;
    private final boolean inPlace;
    private final float[] logits;
    private final float[] labels;
    private final long[] targets;
    private final float[] classWeights;
    private final float[] weights;
    private final float[] gradLoss;
    private final float gradLossScale;
    private final float denominator;
    private final float[] previous;
    private final float[] savedStates;
    private final float[] savedTargetLogits;
    private final boolean[] wants = new boolean[7];
    int grid = 2;
    /** Whether rows of more than one segment are to be treated as those of more than 256. */
    boolean longRows;
    /** Rows before it are those of blocks that do not run: there is no memory of theirs. A multiple of inner and 256. */
    long firstRow;

    /** Results; null where they are not asked for. */
    private float[] loss;
    private float[] gradient;
    private float[] lse;
    private float[] entropy;
    private long[] argmax;
    private long[] hits;
    private float[] logProbabilities;
    private float[] states;
    private float[] targetLogits;

    GeneralKernelCase(int batch, int classes, int inner, DType dtype, boolean column, Mode mode, long seed) {
        this.batch = batch;
        this.classes = classes;
        this.inner = inner;
        this.dtype = dtype;
        this.column = column;
        this.mode = mode;
        this.seed = seed;
        rows = batch * inner;
        random = new Random(seed);
        boolean isShard = mode == Mode.SHARD || mode == Mode.SHARD_SAVED;
        boolean padded = random.nextInt(3) == 0;
        stride = padded ? classes + 1 + random.nextInt(5) : classes;
        firstClass = isShard ? SEGMENT : 0;
        allClasses = firstClass + classes;
        soft = random.nextInt(4) == 0;
        long ignoreIndex = random.nextInt(3) == 0 ? allClasses / 2 : -100;
        DType[] types = {DType.I64, DType.I32, DType.I16, DType.U8};
        DType type = types[random.nextInt(4)];
        boolean fits = type == DType.U8 ? allClasses < 200 && ignoreIndex >= 0 : allClasses < Short.MAX_VALUE - 1;
        targetType = soft ? random.nextBoolean() ? dtype : DType.F32 : fits || type == DType.I32 ? type : DType.I64;
        boolean accumulates = random.nextInt(4) == 0;
        options = new CrossEntropyOptions(Reduction.values()[random.nextInt(3)], ignoreIndex,
                new double[] {0, 0, 0.1, 1}[random.nextInt(4)], new double[] {0, 0, 1e-4, 0.5}[random.nextInt(4)],
                new double[] {0, 0, 30, 1.5}[random.nextInt(4)], new double[] {1, 1, 1.7}[random.nextInt(3)],
                Denominator.values()[random.nextInt(3)], AllIgnored.values()[random.nextInt(2)], accumulates,
                padded && !isShard ? classes : 0);
        wantsGradient = mode != Mode.SHARD && random.nextInt(4) > 0;
        inPlace = wantsGradient && !accumulates && random.nextInt(4) == 0;
        logits = new float[rows * stride];
        labels = soft ? new float[logits.length] : null;
        targets = soft ? null : new long[rows];
        fill();
        weights = random.nextBoolean() ? weights(rows) : null;
        classWeights = random.nextBoolean() ? weights(allClasses) : null;
        boolean perRow = options.reduction() == Reduction.NONE && random.nextBoolean();
        gradLoss = random.nextBoolean() ? weights(perRow ? rows : 1) : null;
        gradLossScale = (random.nextBoolean() ? 1 : -0.7f) * (accumulates && dtype != DType.F32 ? 4096 : 1);
        denominator = random.nextInt(8) == 0 ? 0 : 7;
        previous = new float[logits.length];
        for (int i = 0; accumulates && i < previous.length; i++) {
            previous[i] = (float) random.nextGaussian();
        }
        for (int i = 0; i < wants.length; i++) {
            wants[i] = random.nextInt(3) > 0;
        }
        if (mode == Mode.SAVED || mode == Mode.SHARD_SAVED) {
            // States of the logits themselves; those of the classes before them are made up.
            int segments = Math.ceilDiv(classes, SEGMENT);
            int before = firstClass / SEGMENT;
            savedStates = new float[(before + segments) * rows * STATE];
            for (int i = 0; i < before * rows; i++) {
                float[] state = {(float) random.nextGaussian(), 2, 3000, 10, 20, 30, random.nextInt(SEGMENT)};
                System.arraycopy(state, 0, savedStates, i * STATE, STATE);
            }
            savedTargetLogits = soft || mode == Mode.SAVED && random.nextBoolean() ? null : weights(rows);
        } else {
            savedStates = null;
            savedTargetLogits = null;
        }
    }

    private float[] weights(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = random.nextInt(9) == 0 ? 0 : random.nextFloat() * 2;
        }
        return values;
    }

    private int at(int row, int k) {
        return (row / inner * stride + k) * inner + row % inner;
    }

    /** Rows of all kinds: smooth ones, ties, special values, no softmax, one class that counts, classes that do not. */
    private void fill() {
        float[] special = {Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE, 3e38f, -3e38f, 88, -104};
        for (int row = 0; row < rows; row++) {
            int kind = random.nextInt(12);
            int only = random.nextInt(classes);
            for (int k = 0; k < stride; k++) {
                float z = (float) random.nextGaussian() * 3;
                logits[at(row, k)] = k >= classes ? Float.NaN : switch (kind) {
                    case 0 -> random.nextInt(3);
                    case 1 -> random.nextInt(8) == 0 ? special[random.nextInt(special.length)] : k % 7;
                    case 2 -> k == only ? row % 3 == 0 ? Float.NaN : Float.POSITIVE_INFINITY : 1;
                    case 3 -> k == only ? 3 : z - 5;
                    case 4 -> row % 2 == 0 && k == only ? 1 : Float.NEGATIVE_INFINITY;
                    case 5 -> z * 1e-3f;
                    case 6 -> z * 20;
                    case 7, 8 -> k < 4 || z < 0 ? z - 150 : z;
                    default -> z;
                };
                if (soft) {
                    labels[at(row, k)] = k >= classes || random.nextInt(3) == 0 ? 0 : random.nextFloat() / classes;
                }
            }
            if (!soft) {
                long bad = targetType == DType.U8 ? allClasses : random.nextBoolean() ? allClasses : -1;
                targets[row] = switch (random.nextInt(8)) {
                    case 0 -> options.ignoreIndex();
                    case 1 -> bad;
                    case 2 -> firstClass + only;
                    default -> random.nextInt(allClasses);
                };
            }
        }
    }

    private boolean isBad(int row) {
        return !soft && targets[row] != options.ignoreIndex() && (targets[row] < 0 || targets[row] >= allClasses);
    }

    private long[] shape() {
        return inner == 1 ? new long[] {batch, stride} : new long[] {batch, stride, inner};
    }

    private long[] rowShape() {
        return inner == 1 ? new long[] {batch} : new long[] {batch, inner};
    }

    /** The arguments of contiguous rows without options; operands and flags are to be set. */
    static PtxKernels.Struct rows(PtxKernels kernels, long rows, long classes) {
        return kernels.new Struct("cross_entropy_general_params").set("rows", rows).set("classes", classes)
                .set("all_classes", classes).set("stride", classes).set("inner", 1L).set("ignore_index", -100L)
                .set("keep", 1f).set("scale", 1f).set("grad_loss_scale", 1f);
    }

    static PtxKernels.Buffer targets(PtxKernels kernels, long[] targets) {
        PtxKernels.Buffer buffer = kernels.new Buffer(8L * targets.length, 0);
        MemorySegment.copy(targets, 0, buffer.memory(), ValueLayout.JAVA_LONG_UNALIGNED, 0, targets.length);
        return buffer;
    }

    private long[] stateShape(int segments) {
        return inner == 1
                ? new long[] {segments, batch, STATE}
                : new long[] {segments, batch, inner, STATE};
    }

    private CrossEntropyOperands operands() {
        Tensor x = HostTensors.of(dtype, logits.clone(), shape());
        Tensor t;
        if (soft) {
            t = HostTensors.of(targetType, labels, shape());
        } else {
            long[] known = targets.clone();
            for (int row = 0; row < rows; row++) {
                known[row] = isBad(row) ? options.ignoreIndex() : known[row];
            }
            t = Tensor.of(known, rowShape());
        }
        CrossEntropyOperands operands = CrossEntropyOperands.of(x, t).withGradLossScale(gradLossScale);
        operands = classWeights == null ? operands : operands.withClassWeights(Tensor.of(classWeights, allClasses));
        operands = weights == null ? operands : operands.withWeights(Tensor.of(weights, rowShape()));
        operands = gradLoss == null
                ? operands
                : operands.withGradLoss(isPerRow() ? Tensor.of(gradLoss, rowShape()) : Tensor.of(gradLoss, 1));
        return firstClass == 0 ? operands : operands.withShard(firstClass, allClasses);
    }

    /** Whether columns wait in shared memory: where they fit, one case of four without. */
    private boolean isKept() {
        return column && classes <= 107 && seed % 4 != 3;
    }

    private boolean isPerRow() {
        return gradLoss != null && options.reduction() == Reduction.NONE && gradLoss.length == rows;
    }

    private boolean divides() {
        return options.reduction() == Reduction.MEAN && options.denominator() == Denominator.OPERAND;
    }

    private boolean joins() {
        return mode != Mode.SHARD;
    }

    private static float[] room(boolean wanted, int count) {
        return wanted ? new float[count] : null;
    }

    /** What the CPU says; bad targets are not for it. */
    GeneralKernelCase expect(Backend cpu) {
        boolean none = options.reduction() == Reduction.NONE;
        boolean whole = savedStates == null;
        int segments = Math.ceilDiv(classes, SEGMENT);
        loss = room(joins(), none ? rows : 1);
        lse = room(joins() && wants[0], rows);
        entropy = room(wants[1], rows);
        argmax = wants[2] ? new long[rows] : null;
        hits = wants[3] && !soft ? new long[1] : null;
        logProbabilities = room(joins() && wants[4], logits.length);
        states = room(whole && (wants[5] || mode == Mode.SHARD), segments * rows * STATE);
        targetLogits = room(whole && wants[6] && !soft, rows);
        CrossEntropyOperands operands = operands();
        try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
            if (!whole) {
                int before = firstClass / SEGMENT * rows * STATE;
                float[] own = new float[segments * rows * STATE];
                op.states(operands.withEntropy(Tensor.of(new float[rows], rowShape()))
                        .withArgmax(Tensor.of(new long[rows], rowShape()))
                        .withStates(Tensor.of(own, stateShape(segments))));
                System.arraycopy(own, 0, savedStates, before, own.length);
                operands = operands
                        .withSavedStates(Tensor.of(savedStates, stateShape(segments + firstClass / SEGMENT)));
                operands = savedTargetLogits == null
                        ? operands
                        : operands.withSavedTargetLogits(Tensor.of(savedTargetLogits, rowShape()));
            }
            operands = lse == null ? operands : operands.withLse(Tensor.of(lse, rowShape()));
            operands = entropy == null ? operands : operands.withEntropy(Tensor.of(entropy, rowShape()));
            operands = argmax == null ? operands : operands.withArgmax(Tensor.of(argmax, rowShape()));
            operands = hits == null ? operands : operands.withHits(Tensor.of(hits, 1));
            operands = logProbabilities == null
                    ? operands
                    : operands.withLogProbabilities(Tensor.of(logProbabilities, shape()));
            operands = states == null ? operands : operands.withStates(Tensor.of(states, stateShape(segments)));
            operands = targetLogits == null
                    ? operands
                    : operands.withTargetLogits(Tensor.of(targetLogits, rowShape()));
            if (!joins()) {
                op.states(operands);
                return this;
            }
            operands = divides() ? operands.withDenominator(Tensor.of(new float[] {denominator}, 1)) : operands;
            Tensor lossAt = none ? Tensor.of(loss, rowShape()) : Tensor.of(loss, 1);
            if (!wantsGradient) {
                op.loss(operands, lossAt);
            } else {
                if (options.accumulate() && dtype != DType.F32) {
                    cancel(op, operands, lossAt);
                }
                Tensor gradAt = HostTensors.of(dtype, previous.clone(), shape());
                op.lossAndGradient(operands, lossAt, gradAt);
                gradient = HostTensors.floats(gradAt);
            }
        }
        for (int row = 0; row < rows; row++) {
            if (isBad(row)) {
                spoil(row, none);
            }
        }
        return this;
    }

    /** Has the gradient added to what leaves of it the bits that rounding to 16 takes away. */
    private void cancel(CrossEntropy op, CrossEntropyOperands operands, Tensor lossAt) {
        Tensor gradAt = HostTensors.of(dtype, new float[previous.length], shape());
        op.lossAndGradient(operands, lossAt, gradAt);
        float[] alone = HostTensors.floats(gradAt);
        for (int i = 0; i < alone.length; i++) {
            previous[i] = Float.isFinite(alone[i]) ? -alone[i] : previous[i];
        }
    }

    /** What a row is whose target is out of range. */
    private void spoil(int row, boolean none) {
        boolean zero = options.reduction() == Reduction.MEAN && options.allIgnored() == AllIgnored.ZERO
                && (divides() ? denominator == 0 : noWeight());
        loss[none ? row : 0] = zero ? 0 : Float.NaN;
        for (float[] perRow : new float[][] {lse, entropy}) {
            if (perRow != null) {
                perRow[row] = Float.NaN;
            }
        }
        if (argmax != null) {
            argmax[row] = -1;
        }
        for (int k = 0; gradient != null && k < classes; k++) {
            gradient[at(row, k)] = Float.NaN;
        }
    }

    /** Whether the weights of rows and classes add up to 0. */
    private boolean noWeight() {
        double sum = 0;
        for (int row = 0; row < rows; row++) {
            boolean counts = soft || !isBad(row) && targets[row] != options.ignoreIndex();
            float weight = weights == null ? 1 : weights[row];
            sum += options.denominator() == Denominator.ROWS || soft
                    ? 1
                    : counts ? weight * (classWeights == null ? 1 : classWeights[(int) targets[row]]) : 0;
        }
        return sum == 0;
    }

    private PtxKernels.Buffer buffer(PtxKernels kernels, List<PtxKernels.Buffer> all, long bytes) {
        PtxKernels.Buffer buffer = kernels.new Buffer(bytes, 4 * random.nextInt(4));
        all.add(buffer);
        return buffer;
    }

    private PtxKernels.Buffer floats(PtxKernels kernels, List<PtxKernels.Buffer> all, float[] values) {
        return values == null ? null : buffer(kernels, all, 4L * values.length).set(values);
    }

    private PtxKernels.Buffer output(PtxKernels kernels, List<PtxKernels.Buffer> all, float[] expected) {
        return expected == null ? null : buffer(kernels, all, 4L * expected.length);
    }

    private PtxKernels.Buffer output(PtxKernels kernels, List<PtxKernels.Buffer> all, long[] expected) {
        if (expected == null) {
            return null;
        }
        PtxKernels.Buffer buffer = kernels.new Buffer(8L * expected.length, 8);
        all.add(buffer);
        return buffer;
    }

    boolean hasSoftcap() {
        return options.softcap() != 0;
    }

    boolean wantsGradient() {
        return wantsGradient;
    }

    /** Whether nothing has to be summed over rows, or lies at a distance of all rows. */
    boolean canBeFar() {
        return options.reduction() == Reduction.NONE
                && (allClasses <= SEGMENT || savedStates == null && !wants[5] && mode != Mode.SHARD);
    }

    /** Whether the log-probabilities are why logits are read again. */
    boolean wantsLogProbabilitiesAlone() {
        return wants[4] && !wantsGradient;
    }

    /** Where an array with something for each row starts of which a buffer holds what the rows here have. */
    private long before(PtxKernels.Buffer buffer, long bytesOfRow) {
        return buffer == null ? 0 : buffer.address - firstRow * bytesOfRow;
    }

    /** Runs the kernels and compares with what is expected, as often as one likes. */
    void check(PtxKernels kernels) {
        random.setSeed(seed);
        boolean none = options.reduction() == Reduction.NONE;
        boolean mean = joins() && options.reduction() == Reduction.MEAN;
        boolean sums = mean && options.denominator() == Denominator.WEIGHTS && !soft;
        boolean reduces = joins() && !none;
        int size = dtype.byteSize();
        int skip = size * random.nextInt(16 / size);
        int gradSkip = random.nextInt(3) == 0 ? size * random.nextInt(16 / size) : skip;
        List<PtxKernels.Buffer> all = new ArrayList<>();
        PtxKernels.Buffer x = kernels.new Buffer((long) size * logits.length, skip).set(dtype, logits);
        all.add(x);
        PtxKernels.Buffer t;
        if (soft) {
            int labelSkip = targetType.byteSize() * random.nextInt(16 / targetType.byteSize());
            t = kernels.new Buffer((long) targetType.byteSize() * labels.length, labelSkip).set(targetType, labels);
            all.add(t);
        } else {
            t = kernels.new Buffer((long) targetType.byteSize() * rows, targetType.byteSize() * random.nextInt(3));
            all.add(t);
            for (int i = 0; i < rows; i++) {
                MemorySegment to = t.memory();
                long bytes = (long) i * targetType.byteSize();
                switch (targetType) {
                    case I64 -> to.set(ValueLayout.JAVA_LONG_UNALIGNED, bytes, targets[i]);
                    case I32 -> to.set(ValueLayout.JAVA_INT_UNALIGNED, bytes, (int) targets[i]);
                    case I16 -> to.set(ValueLayout.JAVA_SHORT_UNALIGNED, bytes, (short) targets[i]);
                    default -> to.set(ValueLayout.JAVA_BYTE, bytes, (byte) targets[i]);
                }
            }
        }
        PtxKernels.Buffer grad = null;
        if (wantsGradient && inPlace) {
            grad = x;
        } else if (wantsGradient) {
            grad = kernels.new Buffer((long) size * logits.length, gradSkip).set(dtype, previous);
            all.add(grad);
        }
        PtxKernels.Buffer rowLoss = joins() ? buffer(kernels, all, 4L * rows) : null;
        PtxKernels.Buffer lossAt = buffer(kernels, all, 4);
        PtxKernels.Buffer lseAt = output(kernels, all, lse);
        PtxKernels.Buffer entropyAt = joins() ? output(kernels, all, entropy) : null;
        PtxKernels.Buffer argmaxAt = joins() ? output(kernels, all, argmax) : null;
        PtxKernels.Buffer hitsAt = joins() ? output(kernels, all, hits) : null;
        PtxKernels.Buffer logProbabilitiesAt = output(kernels, all, logProbabilities);
        PtxKernels.Buffer statesAt = output(kernels, all, states);
        PtxKernels.Buffer targetLogitsAt = output(kernels, all, targetLogits);
        long parts = 4L * Math.max(1, Math.ceilDiv(rows, SEGMENT));
        PtxKernels.Buffer status = kernels.new Buffer(24, 8);
        all.add(status);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 0, 0);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 8, -1);
        int flags = (mean ? MEAN : 0) | (sums ? SUMMED_DENOMINATOR : 0) | (isPerRow() ? GRAD_LOSS_PER_ROW : 0)
                | (targetType == DType.I32 ? TARGETS_I32 : 0) | (targetType == DType.I16 ? TARGETS_I16 : 0)
                | (targetType == DType.U8 ? TARGETS_U8 : 0) | (soft ? PROBABILITIES : 0)
                | (options.accumulate() ? ACCUMULATE : 0) | (options.allIgnored() == AllIgnored.ZERO ? ZERO : 0)
                | (soft && targetType != DType.F32 ? TARGETS_NARROW : 0) | (entropy != null ? ENTROPY : 0)
                | (argmax != null || hits != null ? PLACES : 0) | (isKept() ? KEPT : 0);
        long rowBytes = (long) size * stride;
        PtxKernels.Struct params = kernels.new Struct("cross_entropy_general_params").set("logits", before(x, rowBytes))
                .set("targets", before(t, (soft ? stride : 1L) * targetType.byteSize()))
                .set("class_weights", floats(kernels, all, classWeights))
                .set("weights", before(floats(kernels, all, weights), 4))
                .set("grad_loss", before(floats(kernels, all, gradLoss), isPerRow() ? 4 : 0))
                .set("divisor", mean && divides() ? floats(kernels, all, new float[] {denominator}) : null)
                .set("row_loss", before(rowLoss, 4)).set("loss", reduces ? lossAt : null)
                .set("grad_logits", before(grad, rowBytes)).set("lse", before(lseAt, 4))
                .set("entropy", before(entropyAt, 4)).set("argmax", before(argmaxAt, 8)).set("hits", hitsAt)
                .set("log_probabilities", before(logProbabilitiesAt, 4L * stride))
                .set("states", before(statesAt, 4L * STATE)).set("target_logits", before(targetLogitsAt, 4))
                .set("saved_states", before(floats(kernels, all, savedStates), 4L * STATE))
                .set("saved_target_logits", before(floats(kernels, all, savedTargetLogits), 4))
                .set("weight_parts", sums ? buffer(kernels, all, parts) : null)
                .set("loss_parts", reduces ? buffer(kernels, all, parts) : null)
                .set("arrivals", reduces ? buffer(kernels, all, 4) : null).set("status", status)
                .set("rows", firstRow + rows).set("classes", (long) classes).set("first_class", (long) firstClass)
                .set("all_classes", (long) allClasses).set("stride", (long) stride).set("inner", (long) inner)
                .set("ignore_index", options.ignoreIndex()).set("keep", (float) (1 - options.labelSmoothing()))
                .set("smooth", (float) (options.labelSmoothing() / allClasses))
                .set("z_loss", (float) options.zLoss()).set("scale", (float) options.scale())
                .set("softcap", (float) options.softcap())
                .set("softcap_rate", options.softcap() == 0 ? 0 : (float) (2 / options.softcap()))
                .set("grad_loss_scale", gradLossScale).set("flags", flags);
        if (sums && rows > 0 || hitsAt != null) {
            kernels.launch("cross_entropy_general", "cross_entropy_general_begin", grid, 256, 0, params);
        }
        String type = dtype.name().toLowerCase(Locale.ROOT);
        if (rows > 0) {
            kernels.firstBlock = column ? firstRow / 256 : firstRow;
            kernels.longRows = longRows;
            kernels.launch("cross_entropy_general" + (dtype == DType.F32 ? "" : "_" + type),
                    "cross_entropy_general_loss_" + (wantsGradient ? "grad_" : "") + type
                            + (column ? "_column" : "_block"),
                    grid, column || dtype == DType.F32 ? 256 : 128, isKept() ? 256 * size * classes : 0, params);
            kernels.firstBlock = 0;
            kernels.longRows = false;
        }
        if (reduces) {
            kernels.launch("cross_entropy_general", "cross_entropy_general_reduce", grid, 256, 0, params);
        }
        assertEquals(List.of(), kernels.device.findings(), toString());
        same("loss", loss, none ? rowLoss : lossAt);
        same("lse", lse, lseAt);
        same("entropy", joins() ? entropy : null, entropyAt);
        same("argmax", argmax, argmaxAt);
        same("hits", hits, hitsAt);
        same("log-probabilities", logProbabilities, logProbabilitiesAt);
        same("states", states, statesAt);
        same("target logits", targetLogits, targetLogitsAt);
        if (wantsGradient) {
            assertArrayEquals(bits(gradient), bits(grad.floats(dtype)), this + ": gradient");
        }
        if (!inPlace) {
            assertArrayEquals(bits(HostTensors.floats(HostTensors.of(dtype, logits, logits.length))),
                    bits(x.floats(dtype)), this + ": logits are only read");
        }
        long bad = 0;
        long first = -1;
        for (int row = rows - 1; row >= 0; row--) {
            bad += isBad(row) ? 1 : 0;
            first = isBad(row) ? firstRow + row : first;
        }
        assertEquals(bad, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 0), this + ": bad targets");
        assertEquals(first, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 8), this + ": first bad row");
        if (bad > 0) {
            assertEquals(targets[(int) (first - firstRow)], status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 16),
                    this + ": the target there");
        }
        for (PtxKernels.Buffer buffer : all) {
            assertTrue(buffer.isUntouchedBefore(), this + ": written before a buffer");
            buffer.free();
        }
    }

    private void same(String what, float[] expected, PtxKernels.Buffer found) {
        if (expected != null) {
            assertArrayEquals(bits(expected), bits(found.floats()), this + ": " + what);
        }
    }

    private void same(String what, long[] expected, PtxKernels.Buffer found) {
        if (expected != null && found != null) {
            assertArrayEquals(expected, found.view().toArray(ValueLayout.JAVA_LONG_UNALIGNED), this + ": " + what);
        }
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        Arrays.setAll(bits, i -> Float.floatToRawIntBits(values[i]));
        return bits;
    }

    @Override
    public String toString() {
        return "general " + dtype + " " + batch + "x" + classes + "x" + inner + (column ? " column " : " block ")
                + (isKept() ? "kept " : "") + mode
                + " " + options + " targets " + targetType + (wantsGradient ? " gradient" : "")
                + (inPlace ? " in place" : "") + (longRows ? " long" : "") + " from row " + firstRow + " grid " + grid
                + " seed " + seed;
    }
}
