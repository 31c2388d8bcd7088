package dev.isobit.cpu;

import dev.isobit.math.Fma;
import dev.isobit.spi.SoftmaxCall;
import java.util.Objects;

/**
 * Softmax, log-softmax and their gradients of rows whose elements lie side by side; of columns by tiles of neighbours that
 * are copied to rows and back, so that all go through the row code of cross-entropy. Rows of 16 bits are widened into such a
 * tile, too, and rounded from it. One per worker, reused.
 */
final class SoftmaxRows {
    private static final int SEGMENT = SegmentWork.SEGMENT;
    private static final int BLOCK = SegmentWork.LANES;
    /** Columns of a tile: two cache lines. */
    private static final int TILE = 32;
    /** Elements of a tile, if it has more than a column. */
    private static final long TILE_ELEMENTS = 1 << 22;
    /** Between the rows of a tile, so that they do not meet in the cache. */
    private static final int PADDING = 16;

    private final CpuKernels kernels;
    private final boolean logarithm;
    private final CrossEntropyBatch batch = new CrossEntropyBatch();
    private final CrossEntropyRows rows = new CrossEntropyRows();
    private final LaneSum laneSum = new LaneSum();
    private final BlockView inputBlock = new BlockView();
    private final BlockView gradBlock = new BlockView();
    private final BlockView resultBlock = new BlockView();
    private final float[] values = new float[BLOCK];

    private final FloatOperand input = new FloatOperand();
    private final FloatOperand gradOutput = new FloatOperand();
    private final FloatOperand result = new FloatOperand();
    private final FloatOperand tileInput = new FloatOperand();
    private final FloatOperand tileGradOutput = new FloatOperand();
    private float[] tile = new float[0];
    private float[] gradTile = new float[0];

    private boolean gradient;
    private boolean tiled;
    private long outer;
    private long classes;
    private long inner;
    private int width;

    SoftmaxRows(CpuKernels kernels, boolean logarithm) {
        this.kernels = kernels;
        this.logarithm = logarithm;
    }

    void begin(SoftmaxCall call) {
        outer = call.outer;
        classes = call.classes;
        inner = call.inner;
        gradient = call.gradOutput != null;
        input.set(Objects.requireNonNull(call.input), kernels);
        result.set(Objects.requireNonNull(call.result), kernels);
        if (call.gradOutput != null) {
            gradOutput.set(call.gradOutput, kernels);
        }
        width = width(call);
        tiled = inner > 1 || input.isNarrow();
        if (tiled) {
            int needed = Math.toIntExact(width * (classes + PADDING));
            tile = tile.length < needed ? new float[needed] : tile;
            tileInput.set(tile);
            if (gradient) {
                gradTile = gradTile.length < needed ? new float[needed] : gradTile;
                tileGradOutput.set(gradTile);
            }
        }
    }

    /** Rows, or tiles. */
    static long count(SoftmaxCall call) {
        return call.outer * (call.inner == 1 ? 1 : Math.ceilDiv(call.inner, width(call)));
    }

    private static int width(SoftmaxCall call) {
        return (int) Math.clamp(TILE_ELEMENTS / call.classes, 1, Math.min(TILE, call.inner));
    }

    private long tiles() {
        return Math.ceilDiv(inner, width);
    }

    /** Computes rows, or tiles, [from, to). */
    void run(long from, long to) {
        if (!tiled) {
            rows(input, gradOutput, result, from, to, classes);
            return;
        }
        for (long i = from; i < to; i++) {
            long column = i % tiles() * width;
            long first = i / tiles() * classes * inner + column;
            int columns = (int) Math.min(width, inner - column);
            if (inner == 1) {
                row(first);
                continue;
            }
            read(input, tile, first, columns);
            if (gradient) {
                read(gradOutput, gradTile, first, columns);
            }
            rows(tileInput, tileGradOutput, tileInput, 0, columns, classes + PADDING);
            write(first, columns);
        }
    }

    /** A row of 16 bits. */
    private void row(long first) {
        int count = (int) classes;
        input.copyTo(tile, 0, first, count);
        if (gradient) {
            gradOutput.copyTo(gradTile, 0, first, count);
        }
        rows(tileInput, tileGradOutput, tileInput, 0, 1, classes);
        result.copyFrom(tile, first, count);
    }

    private void read(FloatOperand operand, float[] to, long first, int columns) {
        int step = (int) (classes + PADDING);
        for (int k = 0; k < classes; k++) {
            operand.copyTo(values, 0, first + k * inner, columns);
            for (int i = 0; i < columns; i++) {
                to[i * step + k] = values[i];
            }
        }
    }

    private void write(long first, int columns) {
        int step = (int) (classes + PADDING);
        for (int k = 0; k < classes; k++) {
            for (int i = 0; i < columns; i++) {
                values[i] = tile[i * step + k];
            }
            result.copyFrom(values, first + k * inner, columns);
        }
    }

    private void rows(FloatOperand from, FloatOperand grad, FloatOperand to, long firstRow, long endRow, long step) {
        if (gradient) {
            BlockExp exp = kernels.blockExp();
            for (long row = firstRow; row < endRow; row++) {
                gradientRow(exp, from, grad, to, row * step);
            }
            return;
        }
        batch.classes = classes;
        batch.wantsGradient = !logarithm;
        batch.logits.set(from);
        batch.gradLogits.set(to);
        SegmentStages stages = kernels.stages(batch.logits, batch.gradLogits, batch.wantsGradient).of(classes);
        rows.work.operands(batch.logits, batch.gradLogits, batch.wantsGradient);
        for (long row = firstRow; row < endRow;) {
            for (long end = rows.beginRun(batch, stages, row, endRow); row < end; row++) {
                row(stages, from, to, row * step, step == classes ? endRow * step : row * step + classes);
            }
            rows.endRun(batch, row);
        }
        rows.work.clear();
    }

    private void row(SegmentStages stages, FloatOperand from, FloatOperand to, long first, long end) {
        if (!rows.reduce(batch, stages, first, end)) {
            to.fill(first, classes, Float.NaN);
            return;
        }
        rows.state.join();
        if (logarithm) {
            logProbabilities(from, to, first);
            return;
        }
        rows.scale(batch, stages, first, 1);
    }

    private void logProbabilities(FloatOperand from, FloatOperand to, long first) {
        double max = rows.state.max();
        double logSum = rows.state.logSum();
        for (long offset = 0; offset < classes; offset += BLOCK) {
            int count = (int) Math.min(BLOCK, classes - offset);
            inputBlock.read(from, first + offset, count);
            resultBlock.place(to, first + offset);
            subtract(inputBlock, resultBlock, count, max, logSum);
            resultBlock.write(to, first + offset, count);
        }
    }

    private static void subtract(BlockView from, BlockView to, int count, double max, double logSum) {
        float[] z = from.array;
        float[] out = to.array;
        int at = from.at;
        int outAt = to.at;
        for (int i = 0; i < count; i++) {
            out[outAt + i] = (float) ((z[at + i] - max) - logSum);
        }
    }

    private void gradientRow(BlockExp exp, FloatOperand from, FloatOperand grad, FloatOperand to, long first) {
        double total = 0;
        for (long segment = 0; segment < classes; segment += SEGMENT) {
            long end = Math.min(segment + SEGMENT, classes);
            laneSum.clear();
            for (long offset = segment; offset < end; offset += BLOCK) {
                int count = (int) Math.min(BLOCK, end - offset);
                gradBlock.read(grad, first + offset, count);
                if (logarithm) {
                    laneSum.add(gradBlock.array, gradBlock.at, count);
                } else {
                    inputBlock.read(from, first + offset, count);
                    multiply(inputBlock, gradBlock, values, count);
                    laneSum.add(values, 0, count);
                }
            }
            total += laneSum.fold();
        }
        float sum = (float) total;
        for (long offset = 0; offset < classes; offset += BLOCK) {
            int count = (int) Math.min(BLOCK, classes - offset);
            inputBlock.read(from, first + offset, count);
            gradBlock.read(grad, first + offset, count);
            resultBlock.place(to, first + offset);
            if (logarithm) {
                exp.run(inputBlock.array, inputBlock.at, values, count);
                logGradient(values, gradBlock, resultBlock, count, sum);
            } else {
                gradient(inputBlock, gradBlock, resultBlock, count, sum);
            }
            resultBlock.write(to, first + offset, count);
        }
    }

    private static void multiply(BlockView a, BlockView b, float[] to, int count) {
        float[] x = a.array;
        float[] y = b.array;
        int at = a.at;
        int yAt = b.at;
        for (int i = 0; i < count; i++) {
            to[i] = x[at + i] * y[yAt + i];
        }
    }

    private static void gradient(BlockView probabilities, BlockView grad, BlockView to, int count, float sum) {
        float[] p = probabilities.array;
        float[] g = grad.array;
        float[] out = to.array;
        int at = probabilities.at;
        int gradAt = grad.at;
        int outAt = to.at;
        for (int i = 0; i < count; i++) {
            out[outAt + i] = SegmentWork.canonical(p[at + i] * (g[gradAt + i] - sum));
        }
    }

    private static void logGradient(float[] probabilities, BlockView grad, BlockView to, int count, float sum) {
        float[] g = grad.array;
        float[] out = to.array;
        int gradAt = grad.at;
        int outAt = to.at;
        for (int i = 0; i < count; i++) {
            out[outAt + i] = SegmentWork.canonical(Fma.fma(-probabilities[i], sum, g[gradAt + i]));
        }
    }

    /** Drops the operands, so that an idle operation keeps nobody's memory. */
    void clear() {
        input.clear();
        gradOutput.clear();
        result.clear();
        batch.clear();
        inputBlock.clear();
        gradBlock.clear();
        resultBlock.clear();
    }

    /** Releases scratch memory. */
    void release() {
        tile = new float[0];
        gradTile = new float[0];
        tileInput.clear();
        tileGradOutput.clear();
    }
}
