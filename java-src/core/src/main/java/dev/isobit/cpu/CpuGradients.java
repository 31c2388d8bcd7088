package dev.isobit.cpu;

import dev.isobit.Tensor;
import dev.isobit.spi.HostGradients;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of a guarded step. All of them are one row, whose segments are split over the workers; the sums of the
 * segments are joined, in float64, by lanes again.
 */
final class CpuGradients extends ElementSplit implements HostGradients {
    private static final int SEGMENT = SegmentWork.SEGMENT;
    private static final int LANES = SegmentWork.LANES;
    private static final float[] ZEROS = new float[1 << 14];

    /** Gradients of one group that lie side by side. */
    private static final class Run {
        final FloatOperand grad = new FloatOperand();
        final @Nullable SquareSum squares;
        final int group;
        long count;

        Run(Tensor tensor, int group, CpuKernels kernels) {
            grad.set(tensor, kernels);
            squares = kernels.squares(grad);
            this.group = group;
            count = tensor.elementCount();
        }

        boolean extendBy(Run next) {
            if (group != next.group || !grad.isFollowedBy(next.grad, count)) {
                return false;
            }
            count += next.count;
            return true;
        }

        /** Adds squares of elements to lanes, by a copy where need be. */
        void square(long from, int lane, int length, LaneSum sum, float[] copy) {
            if (squares != null) {
                squares.add(grad, from, sum.lanes(), lane, length);
                return;
            }
            int done = 0;
            while (done < length) {
                int at = (lane + done) % LANES;
                int some = Math.min(LANES - at, length - done);
                // Where their lanes are: the JIT makes vectors of a loop with one index.
                grad.copyTo(copy, at, from + done, some);
                sum.addSquares(copy, at, some);
                done += some;
            }
        }
    }

    private final Run[] runs;
    private final LaneSum[] sums;
    private final float[][] copies;
    private final float[] parts;
    private final double[] lanes = new double[LANES];
    private final Workers.Task squares = this::square;
    private boolean[] looksAt = {};

    /**
     * Gradients of groups.
     *
     * @param backend where they are
     * @param groups of each group, the gradients
     */
    CpuGradients(CpuBackend backend, List<List<Tensor>> groups) {
        this(backend, joined(IntStream.range(0, groups.size()).boxed()
                .flatMap(group -> groups.get(group).stream().map(grad -> new Run(grad, group, backend.kernels()))),
                Run::extendBy)
                .toArray(Run[]::new));
    }

    private CpuGradients(CpuBackend backend, Run[] runs) {
        super(backend, runs.length);
        this.runs = runs;
        for (int i = 0; i < runs.length; i++) {
            add(i, runs[i].count, runs[i].grad);
        }
        sums = new LaneSum[backend.workers().count()];
        Arrays.setAll(sums, i -> new LaneSum());
        copies = new float[sums.length][LANES + LinesBefore.IN_ARRAY];
        parts = new float[Math.toIntExact((elements() + SEGMENT - 1) / SEGMENT)];
    }

    @Override
    public double sumOfSquares(boolean[] enabled) {
        looksAt = enabled;
        runShared(squares, parts.length, Workers.worthSharing(SEGMENT));
        Arrays.fill(lanes, 0);
        for (int i = 0; i < parts.length; i++) {
            lanes[i % LANES] += parts[i];
        }
        for (int half = LANES / 2; half >= 1; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }

    private void square(int member, long from, long to) {
        LaneSum sum = sums[member];
        float[] copy = copies[member];
        for (int segment = (int) from; segment < to; segment++) {
            long first = (long) segment * SEGMENT;
            long end = Math.min(first + SEGMENT, elements());
            sum.clear();
            long at = first;
            for (int i = tensorAt(first); at < end; i++) {
                long until = Math.min(end, start(i + 1));
                if (looksAt[runs[i].group] && at < until) {
                    runs[i].square(at - start(i), (int) (at % LANES), (int) (until - at), sum, copy);
                }
                at = until;
            }
            parts[segment] = sum.fold();
        }
    }

    @Override
    public void zero(boolean[] enabled) {
        looksAt = enabled;
        updateAll();
    }

    @Override
    void update(int member, int tensor, long from, long to) {
        if (looksAt[runs[tensor].group]) {
            for (long at = from; at < to; at += ZEROS.length) {
                runs[tensor].grad.copyFrom(ZEROS, at, (int) Math.min(ZEROS.length, to - at));
            }
        }
    }
}
