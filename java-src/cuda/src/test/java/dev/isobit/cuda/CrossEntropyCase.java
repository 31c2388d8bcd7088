package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/** One call of the cross-entropy kernels on the interpreter, and how it is launched: compared with the CPU backend. */
final class CrossEntropyCase {
    static final long IGNORE = -100;

    final int rows;
    final int classes;
    /** Of the logits and their gradient. */
    DType dtype = DType.F32;
    float[] logits;
    long[] targets;
    float[] gradLoss = {0.75f};
    Reduction reduction = Reduction.MEAN;
    long ignoreIndex = IGNORE;
    String variant;
    boolean wideTargets = true;
    boolean wantsLoss = true;
    boolean wantsGradient = true;
    boolean inPlace;
    int logitsSkip;
    int gradSkip;
    int targetsSkip;
    int lossSkip;
    int grid = 2;
    int countBlocks = 1;
    int reduceGrid = 1;
    int stash;
    /** Whether rows of more than one segment are to be treated as those of more than are kept; of a block a row. */
    boolean longRows;
    /** Rows before it are those of blocks that do not run: there is no memory of theirs. */
    long firstRow;
    /** Parts of the denominator, where no kernel counts it: 2^36 in all. */
    long[] givenParts;

    float[] expectedGrad;
    float[] expectedLoss;

    CrossEntropyCase(int rows, int classes, Random random) {
        this.rows = rows;
        this.classes = classes;
        logits = new float[rows * classes];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) (random.nextGaussian() * 4);
        }
        targets = random.longs(rows, 0, classes).toArray();
        variant = classes <= 32
                ? "thread"
                : classes <= 1024 ? "warp" : classes <= 2048 ? "wide" : "block";
    }

    @Override
    public String toString() {
        return dtype + " " + rows + "x" + classes + " " + variant + " " + reduction + (inPlace ? " in place" : "")
                + (longRows ? " long" : "")
                + " logits+"
                + logitsSkip + " grad+" + gradSkip + " targets+" + targetsSkip + " loss+" + lossSkip + " grid "
                + grid + "/" + countBlocks + "/" + reduceGrid + " stash " + stash + (wideTargets ? "" : " i32")
                + (wantsLoss ? " loss" : "") + (wantsGradient ? " gradient" : "");
    }

    boolean isBad(long target) {
        return target != ignoreIndex && (target < 0 || target >= classes);
    }

    int blockSize() {
        return variant.equals("block") && dtype == DType.F32 ? 256 : 128;
    }

    int sharedBytes() {
        return switch (variant) {
            case "thread" -> 128 * dtype.byteSize() * classes + 16;
            case "warp", "wide" -> 0;
            default -> 32768 * stash;
        };
    }

    static int mostClasses(String variant) {
        return switch (variant) {
            case "thread" -> 32;
            case "warp" -> 1024;
            case "wide" -> 2048;
            default -> Integer.MAX_VALUE;
        };
    }

    /** What the CPU says; a bad target is not for it, but counts as an ignored row does. */
    CrossEntropyCase expect(Backend cpu) {
        boolean none = reduction == Reduction.NONE;
        expectedLoss = new float[none ? rows : 1];
        long[] known = targets.clone();
        for (int i = 0; i < rows; i++) {
            if (isBad(known[i])) {
                known[i] = ignoreIndex;
            }
        }
        CrossEntropyOptions options = CrossEntropyOptions.defaults().withReduction(reduction)
                .withIgnoreIndex(ignoreIndex);
        try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
            float[] scaled = gradLoss == null ? new float[] {1} : gradLoss.clone();
            for (int i = 0; i < scaled.length && givenParts != null; i++) {
                scaled[i] *= 0x1p-36f;
            }
            Tensor upstream = Tensor.of(scaled, scaled.length);
            Tensor gradient = HostTensors.room(dtype, rows, classes);
            op.lossAndGradient(HostTensors.of(dtype, logits.clone(), rows, classes), Tensor.of(known, rows), upstream,
                    Tensor.of(expectedLoss, expectedLoss.length), gradient);
            expectedGrad = HostTensors.floats(gradient);
        }
        if (givenParts != null && !none) {
            expectedLoss[0] *= 0x1p-36f;
        }
        for (int i = 0; i < rows; i++) {
            if (isBad(targets[i])) {
                Arrays.fill(expectedGrad, i * classes, (i + 1) * classes, Float.NaN);
                expectedLoss[none ? i : 0] = Float.NaN;
            }
        }
        return this;
    }

    /** Runs the kernels and compares with what is expected, as often as one likes. */
    void check(PtxKernels kernels) {
        boolean none = reduction == Reduction.NONE;
        boolean reduces = wantsLoss && !none;
        int elements = rows * classes;
        long badRows = 0;
        long firstBad = -1;
        for (int i = 0; i < rows; i++) {
            if (isBad(targets[i])) {
                badRows++;
                firstBad = firstBad < 0 ? firstRow + i : firstBad;
            }
        }

        PtxKernels.Buffer logitsBuffer = kernels.new Buffer((long) dtype.byteSize() * elements, logitsSkip)
                .set(dtype, logits);
        int targetBytes = wideTargets ? 8 : 4;
        PtxKernels.Buffer targetBuffer = kernels.new Buffer((long) targetBytes * rows, targetsSkip);
        for (int i = 0; i < rows; i++) {
            if (wideTargets) {
                targetBuffer.memory().setAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i, targets[i]);
            } else {
                targetBuffer.memory().setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i, (int) targets[i]);
            }
        }
        boolean upstreamPerRow = gradLoss != null && gradLoss.length > 1;
        // The one of the first row of all is read, whether it is used or not.
        PtxKernels.Buffer upstreamOfFirst = upstreamPerRow && firstRow > 0 ? kernels.new Buffer(4, 4) : null;
        if (upstreamOfFirst != null) {
            kernels.leaveGap(upstreamOfFirst, 4 * firstRow / 512 * 512);
        }
        PtxKernels.Buffer upstream = gradLoss == null
                ? null
                : kernels.new Buffer(4L * gradLoss.length, 4 + 4 * firstRow % 512).set(gradLoss);
        PtxKernels.Buffer rowLoss = wantsLoss ? kernels.new Buffer(4L * rows, lossSkip) : null;
        PtxKernels.Buffer loss = kernels.new Buffer(4, 4);
        PtxKernels.Buffer grad = !wantsGradient
                ? null
                : inPlace ? logitsBuffer : kernels.new Buffer((long) dtype.byteSize() * elements, gradSkip);
        PtxKernels.Buffer parts = kernels.new Buffer(8L * (givenParts == null ? countBlocks : givenParts.length), 8);
        PtxKernels.Buffer lossParts = kernels.new Buffer(4L * ((rows + 8191) / 8192), 4);
        PtxKernels.Buffer arrivals = kernels.new Buffer(4, 4);
        PtxKernels.Buffer status = kernels.new Buffer(24, 8);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 0, 0);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 8, -1);

        boolean mean = reduction == Reduction.MEAN || givenParts != null;
        int counts = givenParts == null ? countBlocks : givenParts.length;
        long rowBytes = (long) dtype.byteSize() * classes;
        PtxKernels.Struct params = kernels.new Struct("cross_entropy_params")
                .set("logits", before(logitsBuffer, rowBytes)).set("targets", before(targetBuffer, targetBytes))
                .set("grad_loss", upstreamPerRow ? before(upstream, 4) : before(upstream, 0))
                .set("row_loss", before(rowLoss, 4)).set("loss", loss).set("grad_logits", before(grad, rowBytes))
                .set("denominator_parts", parts).set("loss_parts", lossParts)
                .set("arrivals", reduces ? arrivals : null).set("status", status).set("rows", firstRow + rows)
                .set("classes", (long) classes).set("ignore_index", ignoreIndex)
                .set("flags", (mean ? PtxKernels.MEAN : 0) | (wideTargets ? 0 : PtxKernels.TARGETS_I32)
                        | (upstreamPerRow ? PtxKernels.GRAD_LOSS_PER_ROW : 0))
                .set("count_blocks", rows == 0 ? 0 : counts).set("stash_segments", stash);
        String op = "cross_entropy";
        if (givenParts != null) {
            parts.memory().copyFrom(MemorySegment.ofArray(givenParts));
        } else if (mean && rows > 0) {
            kernels.launch(op, "cross_entropy_count", countBlocks, 256, 0, params);
        }
        if (rows > 0) {
            kernels.firstBlock = firstRow / rowsPerBlock();
            kernels.longRows = longRows;
            String type = dtype.name().toLowerCase(Locale.ROOT);
            kernels.launch(dtype == DType.F32 ? op : op + "_" + type,
                    "cross_entropy_loss_" + (wantsGradient ? "grad_" : "") + type + "_" + variant, grid, blockSize(),
                    sharedBytes(), params);
            kernels.firstBlock = 0;
            kernels.longRows = false;
        }
        if (reduces) {
            kernels.launch(op, "cross_entropy_reduce_loss_f32", reduceGrid, 256, 0, params);
        }

        assertEquals(List.of(), kernels.device.findings(), toString());
        if (wantsLoss) {
            assertBits(expectedLoss, (none ? rowLoss : loss).floats(), this + ": loss");
        }
        if (wantsGradient) {
            assertBits(expectedGrad, grad.floats(dtype), this + ": gradient");
        }
        if (mean && givenParts == null && rows > 0) {
            long counted = Arrays.stream(parts.view().toArray(ValueLayout.JAVA_LONG_UNALIGNED)).sum();
            assertEquals(Arrays.stream(targets).filter(t -> t != ignoreIndex && !isBad(t)).count(), counted,
                    this + ": denominator");
        }
        if (!inPlace) {
            assertBits(HostTensors.floats(HostTensors.of(dtype, logits, elements)), logitsBuffer.floats(dtype),
                    this + ": logits are only read");
        }
        assertEquals(badRows, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 0), this + ": bad targets");
        assertEquals(firstBad, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 8), this + ": first bad row");
        if (badRows > 0) {
            assertEquals(targets[(int) (firstBad - firstRow)],
                    status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 16), this + ": the target there");
        }
        for (PtxKernels.Buffer b : new PtxKernels.Buffer[] {logitsBuffer, targetBuffer, upstreamOfFirst, upstream,
            rowLoss, loss, inPlace ? null : grad, parts, lossParts, arrivals, status}) {
            if (b != null) {
                assertTrue(b.isUntouchedBefore(), this + ": written before a buffer");
                b.free();
            }
        }
    }

    /** Where an array of all rows starts of which a buffer holds those from the first one on. */
    private long before(PtxKernels.Buffer buffer, long rowBytes) {
        return buffer == null ? 0 : buffer.address - firstRow * rowBytes;
    }

    private int rowsPerBlock() {
        return switch (variant) {
            case "thread" -> 128;
            case "warp" -> classes <= 256 ? 16 : classes <= 512 ? 8 : 4;
            case "wide" -> 4;
            default -> 1;
        };
    }

    private static void assertBits(float[] expected, float[] actual, String what) {
        assertEquals(expected.length, actual.length, what);
        for (int i = 0; i < expected.length; i++) {
            int e = Float.floatToRawIntBits(expected[i]);
            int a = Float.floatToRawIntBits(actual[i]);
            if (e != a) {
                throw new AssertionError(String.format("%s: element %d is %s (%08x), not %s (%08x)", what, i, actual[i],
                        a, expected[i], e));
            }
        }
    }
}
