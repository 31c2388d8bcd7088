package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
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
 * One call of the kernels of binary cross-entropy over [rows, columns] on the interpreter, options and operands by a seed,
 * compared with the CPU backend.
 */
final class BceKernelCase {
    private static final int SEGMENT = 8192;
    private static final int MEAN = 1;
    private static final int SUMMED_DENOMINATOR = 2;
    private static final int GRAD_LOSS_PER_ELEMENT = 4;
    private static final int LOSS_PER_ELEMENT = 8;
    private static final int POS_WEIGHT_FULL = 16;
    private static final int WEIGHTS_FULL = 32;
    private static final int WIDE_INDEX = 64;
    private static final int MASK_FULL = 128;
    private static final int TARGETS_U8 = 256;
    private static final int IGNORE_VALUE = 512;
    private static final int WEIGHTED_MEAN = 1024;
    private static final int TARGETS_NARROW = 2048;
    private static final int TARGETS_BITS = 4096;

    /** How targets are stored. */
    enum Targets {
        FLOATS, BYTES, BITS, NARROW
    }

    private final int columns;
    private final int count;
    private final DType dtype;
    private final long seed;
    private final BceInputs in;
    private final Targets targets;
    private final boolean wantsLoss;
    private final boolean wantsGradient;
    private final boolean inPlace;
    private final boolean wantsSigmoid;
    private final boolean none;
    int grid = 2;
    /** Whether all arrays have boundaries where the logits have them. */
    boolean aligned;
    /** By how many groups of axes what has a value for each element is read; 0: as what it is. */
    int byAxes;
    /**
     * Segments before it are those of blocks that do not run: there is no memory of theirs. A multiple of the columns, so
     * that it begins with a row.
     */
    long firstSegment;

    private float[] loss;
    private float[] gradient;
    private float[] sigmoid;

    BceKernelCase(int rows, int columns, DType dtype, long seed) {
        this.dtype = dtype;
        this.seed = seed;
        in = BceInputs.of(seed, rows, columns);
        Random random = new Random(seed);
        targets = in.hasBinaryTargets()
                ? Targets.values()[random.nextInt(dtype == DType.F32 ? 3 : 4)]
                : dtype != DType.F32 && random.nextBoolean() ? Targets.NARROW : Targets.FLOATS;
        int wanted = 1 + random.nextInt(3);
        wantsLoss = (wanted & 1) != 0;
        wantsGradient = (wanted & 2) != 0;
        inPlace = wantsGradient && random.nextInt(4) == 0;
        wantsSigmoid = random.nextBoolean();
        none = in.options().reduction() == Reduction.NONE;
        this.columns = columns;
        count = rows * columns;
    }

    /** Of [rows, columns] and targets of float32, or by turns of seeds of the 16 bits of the logits, all where these have
     * boundaries. */
    BceKernelCase(BceInputs in, DType dtype, boolean wantsLoss, boolean wantsGradient, boolean wantsSigmoid,
            long seed) {
        this.dtype = dtype;
        this.seed = seed;
        this.in = in;
        targets = dtype != DType.F32 && seed % 2 == 0 ? Targets.NARROW : Targets.FLOATS;
        this.wantsLoss = wantsLoss;
        this.wantsGradient = wantsGradient;
        inPlace = false;
        this.wantsSigmoid = wantsSigmoid;
        none = in.options().reduction() == Reduction.NONE;
        columns = (int) in.shape()[1];
        count = in.logits().length;
        aligned = true;
    }

    private static Tensor tensor(float[] values, long[] shape) {
        return Tensor.of(values.clone(), shape);
    }

    /** What the CPU says. */
    BceKernelCase expect(Backend cpu) {
        Tensor x = HostTensors.of(dtype, in.logits().clone(), in.shape());
        BceWithLogitsOperands operands = switch (targets) {
            case FLOATS -> BceWithLogitsOperands.of(x, Tensor.of(in.targets(), in.shape()));
            case NARROW -> BceWithLogitsOperands.of(x, HostTensors.of(dtype, in.targets(), in.shape()));
            case BYTES -> BceWithLogitsOperands.of(x,
                    Tensor.of(DType.U8, MemorySegment.ofArray(in.targetBytes()), in.shape()));
            case BITS -> BceWithLogitsOperands.ofBits(x,
                    Tensor.of(DType.U8, MemorySegment.ofArray(in.targetBits()), (count + 7) / 8));
        };
        operands = in.posWeightShape() == null
                ? operands
                : operands.withPosWeight(tensor(in.posWeight(), in.posWeightShape()));
        operands = in.weightsShape() == null ? operands : operands.withWeights(tensor(in.weights(), in.weightsShape()));
        operands = in.maskShape() == null
                ? operands
                : operands.withMask(Tensor.of(DType.U8, MemorySegment.ofArray(in.mask()), in.maskShape()));
        operands = operands.withGradLoss(none ? tensor(in.gradLoss(), in.shape()) : tensor(in.gradLoss(), new long[0]));
        sigmoid = new float[count];
        operands = wantsSigmoid ? operands.withSigmoid(Tensor.of(sigmoid, in.shape())) : operands;
        loss = new float[none ? count : 1];
        Tensor lossAt = none ? Tensor.of(loss, in.shape()) : Tensor.of(loss);
        Tensor gradAt = HostTensors.of(dtype, new float[count], in.shape());
        try (BceWithLogits op = BceWithLogits.on(cpu, in.options())) {
            if (!wantsGradient) {
                op.loss(operands, lossAt);
            } else if (!wantsLoss) {
                op.gradient(operands, gradAt);
            } else {
                op.lossAndGradient(operands, lossAt, gradAt);
            }
        }
        gradient = HostTensors.floats(gradAt);
        return this;
    }

    /** A weight of the groups of axes along which it does not repeat, the innermost first. */
    private void axes(PtxKernels.Struct params, String field, long[] shape) {
        PtxKernels.Struct axes = params.element("bce_with_logits_axes", field, 0);
        for (int i = 0; i < 4; i++) {
            group(axes, i, 1, 1, 0);
        }
        if (shape == null || shape.length == 0) {
            return;
        }
        if (byAxes > 0 && Arrays.equals(shape, in.shape())) {
            long inner = 1;
            for (int i = 0; i < byAxes; i++) {
                long size = i < byAxes - 1 ? 3 + i : firstElement() + count;
                group(axes, i, inner, size, inner);
                inner *= size;
            }
            return;
        }
        boolean alongRows = shape[0] > 1;
        boolean alongColumns = shape[1] > 1;
        if (alongColumns) {
            group(axes, 0, 1, columns, 1);
        }
        if (alongRows) {
            group(axes, alongColumns ? 1 : 0, columns, firstElement() / columns + shape[0], alongColumns ? columns : 1);
        }
    }

    private static void group(PtxKernels.Struct axes, int at, long inner, long size, long stride) {
        axes.element("bce_with_logits_group", "group" + at, 0).set("inner", inner).set("size", size)
                .set("stride", stride);
    }

    private boolean isFull(long[] shape) {
        return byAxes == 0 && shape != null && Arrays.equals(shape, in.shape());
    }

    private long firstElement() {
        return firstSegment * SEGMENT;
    }

    /** Where an array with something for each element starts of which a buffer holds what the elements here have. */
    private long before(PtxKernels.Buffer buffer, long bytesOfElement) {
        return buffer == null ? 0 : buffer.address - firstElement() * bytesOfElement;
    }

    /** The same where it may repeat, in axes of which rows are the outermost. */
    private long before(PtxKernels.Buffer buffer, long bytesOfElement, long[] shape) {
        boolean alongRows = buffer != null && shape.length == 2 && shape[0] > 1;
        return isFull(shape) || byAxes > 0 && Arrays.equals(shape, in.shape())
                ? before(buffer, bytesOfElement)
                : buffer == null ? 0 : buffer.address - (alongRows ? firstElement() / columns * bytesOfElement : 0);
    }

    /** Whether nothing has to be summed of elements that are not here but the denominator. */
    boolean canBeFar() {
        return (none || !wantsLoss) && (in.options().reduction() != Reduction.MEAN || sums());
    }

    private boolean ignores() {
        return !Double.isNaN(in.options().ignoreValue());
    }

    private boolean weighs() {
        return in.options().reduction() == Reduction.MEAN && in.options().weightedMean();
    }

    private boolean sums() {
        return in.options().reduction() == Reduction.MEAN && (ignores() || in.maskShape() != null) || weighs();
    }

    /** Runs the kernels and compares with what is expected, as often as one likes. */
    void check(PtxKernels kernels) {
        Random random = new Random(seed);
        int size = dtype.byteSize();
        boolean mean = in.options().reduction() == Reduction.MEAN;
        boolean ignores = ignores();
        boolean weighs = weighs();
        boolean sums = sums();
        boolean reduces = wantsLoss && !none;
        List<PtxKernels.Buffer> all = new ArrayList<>();
        int skip = size * random.nextInt(16 / size);
        // Of four bytes each; what starts where the logits have a boundary has one there, too.
        int other = aligned ? 4 * (skip / size % 4) : -1;
        PtxKernels.Buffer x = buffer(kernels, all, (long) size * count, skip).set(dtype, in.logits());
        PtxKernels.Buffer t = switch (targets) {
            case FLOATS -> {
                int own = random.nextBoolean() ? 4 * random.nextInt(4) : 4 * (skip / size % 4);
                yield buffer(kernels, all, 4L * count, aligned ? other : own).set(in.targets());
            }
            case NARROW -> buffer(kernels, all, (long) size * count, skip).set(dtype, in.targets());
            case BYTES -> bytes(kernels, all, in.targetBytes(), skip / size);
            case BITS -> bytes(kernels, all, in.targetBits(), random.nextInt(3));
        };
        PtxKernels.Buffer grad = null;
        if (wantsGradient && inPlace) {
            grad = x;
        } else if (wantsGradient) {
            int own = random.nextInt(3) == 0 ? size * random.nextInt(16 / size) : skip;
            grad = buffer(kernels, all, (long) size * count, aligned ? skip : own);
        }
        PtxKernels.Buffer lossAt =
                wantsLoss ? buffer(kernels, all, 4L * loss.length, skip(random, other)) : null;
        PtxKernels.Buffer sigmoidAt = wantsSigmoid ? buffer(kernels, all, 4L * count, skip(random, other)) : null;
        long parts = 4L * Math.max(1, Math.ceilDiv(count, SEGMENT));
        PtxKernels.Buffer mask = in.maskShape() == null || count == 0
                ? null
                : bytes(kernels, all, in.mask(), random.nextInt(16));
        PtxKernels.Buffer posWeight =
                count == 0 ? null : floats(kernels, all, in.posWeightShape(), in.posWeight(), random, other);
        PtxKernels.Buffer weights =
                count == 0 ? null : floats(kernels, all, in.weightsShape(), in.weights(), random, other);
        PtxKernels.Buffer gradLoss = floats(kernels, all, in.shape(), in.gradLoss(), random, other);
        PtxKernels.Buffer weightParts = sums ? buffer(kernels, all, parts, 4) : null;
        PtxKernels.Buffer denominator = sums ? buffer(kernels, all, 8, 8) : null;
        PtxKernels.Struct params = kernels.new Struct("bce_with_logits_params").set("logits", before(x, size))
                .set("targets", switch (targets) {
                    case FLOATS -> before(t, 4);
                    case NARROW -> before(t, size);
                    case BYTES -> before(t, 1);
                    case BITS -> t.address - firstElement() / 8;
                })
                .set("mask", before(mask, 1, in.maskShape()))
                .set("pos_weight", before(posWeight, 4, in.posWeightShape()))
                .set("weights", before(weights, 4, in.weightsShape())).set("grad_loss", before(gradLoss, none ? 4 : 0))
                .set("loss", before(lossAt, none ? 4 : 0)).set("grad_logits", before(grad, size))
                .set("sigmoid", before(sigmoidAt, 4))
                .set("weight_parts", weightParts == null ? 0 : weightParts.address - 4 * firstSegment)
                .set("denominator", denominator)
                .set("loss_parts", reduces ? buffer(kernels, all, parts, 8) : null)
                .set("arrivals", reduces ? buffer(kernels, all, 4, 4) : null).set("count", firstElement() + count)
                .set("keep", (float) (1 - in.options().labelSmoothing()))
                .set("half", (float) (in.options().labelSmoothing() / 2))
                .set("ignore_value", (float) in.options().ignoreValue());
        double alpha = in.options().focalAlpha();
        params.set("focal_alpha", Double.isNaN(alpha) ? 1 : (float) alpha)
                .set("focal_rest", Double.isNaN(alpha) ? 1 : (float) (1 - alpha))
                .set("focal_gamma", (float) in.options().focalGamma())
                .set("focal_halves", (int) (2 * in.options().focalGamma()));
        axes(params, "pos_weight_axes", in.posWeightShape());
        axes(params, "weights_axes", in.weightsShape());
        axes(params, "mask_axes", in.maskShape());
        params.set("flags", (mean ? MEAN : 0) | (sums ? SUMMED_DENOMINATOR : 0)
                | (none ? GRAD_LOSS_PER_ELEMENT | LOSS_PER_ELEMENT : 0)
                | (isFull(in.posWeightShape()) ? POS_WEIGHT_FULL : 0) | (isFull(in.weightsShape()) ? WEIGHTS_FULL : 0)
                | (isFull(in.maskShape()) ? MASK_FULL : 0) | (ignores ? IGNORE_VALUE : 0)
                | (weighs ? WEIGHTED_MEAN : 0) | (firstElement() + count >>> 32 != 0 ? WIDE_INDEX : 0)
                | switch (targets) {
                    case FLOATS -> 0;
                    case NARROW -> TARGETS_NARROW;
                    case BYTES -> TARGETS_U8;
                    case BITS -> TARGETS_U8 | TARGETS_BITS;
                });
        String type = "_" + dtype.name().toLowerCase(Locale.ROOT);
        String suffix = dtype == DType.F32 ? "" : type;
        String op = "bce_with_logits";
        kernels.firstBlock = firstSegment;
        if (sums && count > 0) {
            kernels.launch(op + suffix, op + "_weigh" + type, grid, 256, 0, params);
        }
        kernels.firstBlock = 0;
        if (firstSegment > 0 && sums) {
            join(weightParts, denominator);
        } else if (sums && count > 0 || reduces) {
            kernels.launch(op + suffix, op + "_begin" + type, 1, 256, 0, params);
        }
        kernels.firstBlock = firstSegment;
        String focal = in.options().isFocal() ? "_focal" : "";
        if (count > 0 || reduces) {
            kernels.launch(op + focal + suffix, op + focal + (wantsLoss ? "_loss" : "") + (wantsGradient ? "_grad" : "")
                    + type, grid, dtype == DType.F32 ? 256 : 128, 0, params);
        }
        kernels.firstBlock = 0;
        assertEquals(List.of(), kernels.device.findings(), toString());
        if (wantsLoss) {
            same("loss", loss, lossAt.floats());
        }
        if (wantsGradient) {
            same("gradient", gradient, grad.floats(dtype));
        }
        if (wantsSigmoid) {
            same("sigmoid", sigmoid, sigmoidAt.floats());
        }
        if (!inPlace) {
            same("logits", HostTensors.floats(HostTensors.of(dtype, in.logits().clone(), count)), x.floats(dtype));
        }
        for (PtxKernels.Buffer buffer : all) {
            assertTrue(buffer.isUntouchedBefore(), this + ": written before a buffer");
            buffer.free();
        }
    }

    private static PtxKernels.Buffer buffer(PtxKernels kernels, List<PtxKernels.Buffer> all, long bytes, int skip) {
        PtxKernels.Buffer buffer = kernels.new Buffer(bytes, skip);
        all.add(buffer);
        return buffer;
    }

    private static PtxKernels.Buffer bytes(PtxKernels kernels, List<PtxKernels.Buffer> all, byte[] values, int skip) {
        PtxKernels.Buffer buffer = buffer(kernels, all, values.length, skip);
        buffer.memory().copyFrom(MemorySegment.ofArray(values));
        return buffer;
    }

    private static PtxKernels.Buffer floats(PtxKernels kernels, List<PtxKernels.Buffer> all, long[] shape,
            float[] values, Random random, int skip) {
        return shape == null || values.length == 0
                ? null
                : buffer(kernels, all, 4L * values.length, skip(random, skip)).set(values);
    }

    /** Any, unless it is given. */
    private static int skip(Random random, int given) {
        int any = 4 * random.nextInt(4);
        return given < 0 ? any : given;
    }

    /** What the kernel does that would join the sums of all segments. */
    private static void join(PtxKernels.Buffer parts, PtxKernels.Buffer denominator) {
        double sum = 0;
        for (float part : parts.floats()) {
            sum += part;
        }
        denominator.memory().set(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0, sum == 0 ? Double.NaN : sum);
    }

    private void same(String what, float[] expected, float[] found) {
        assertArrayEquals(bits(expected), bits(found), this + ": " + what);
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        Arrays.setAll(bits, i -> Float.floatToRawIntBits(values[i]));
        return bits;
    }

    @Override
    public String toString() {
        return "bce " + dtype + " " + Arrays.toString(in.shape()) + " " + in.options() + " targets " + targets
                + (wantsLoss ? " loss" : "") + (wantsGradient ? " gradient" : "") + (inPlace ? " in place" : "")
                + (aligned ? " aligned" : "") + (byAxes > 0 ? " by " + byAxes + " axes" : "") + " from segment "
                + firstSegment + " grid " + grid + " seed " + seed;
    }
}
