package dev.isobit.cpu;

import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.Arrays;
import java.util.List;

/** Adam on the CPU: all parameters in one parallel region, their elements split evenly over the workers. */
final class CpuAdam implements AdamKernel, Workers.Task {
    /** Below this many elements a second thread costs more than it brings. */
    private static final long WORTH_SHARING = 1 << 14;
    /** A cache line of float32: no two workers write to one. */
    private static final long LINE = 16;

    private final CpuBackend backend;
    private final boolean maximize;
    private final AdamOperands[] tensors;
    /** Where each tensor's elements start among all elements; one more entry, their number. */
    private final long[] starts;
    private final boolean parallel;
    private AdamScalars scalars = new AdamScalars();

    CpuAdam(CpuBackend backend, AdamOptions options, List<AdamParameter> parameters) {
        this.backend = backend;
        this.maximize = options.maximize();
        tensors = new AdamOperands[parameters.size()];
        starts = new long[tensors.length + 1];
        boolean shared = true;
        for (int i = 0; i < tensors.length; i++) {
            tensors[i] = new AdamOperands(parameters.get(i), backend.kernels());
            starts[i + 1] = starts[i] + tensors[i].count;
            for (FloatOperand operand : List.of(tensors[i].param, tensors[i].grad, tensors[i].expAvg,
                    tensors[i].expAvgSq, tensors[i].maxExpAvgSq)) {
                shared &= backend.workers().mayAccess(operand.segment);
            }
        }
        parallel = shared && starts[tensors.length] >= WORTH_SHARING;
    }

    @Override
    public void step(AdamScalars stepScalars) {
        backend.requireOpen();
        scalars = stepScalars;
        backend.workers().run(this, parallel);
    }

    @Override
    public void run(int part, int parts) {
        long total = starts[tensors.length];
        long from = boundary(total, part, parts);
        long to = boundary(total, part + 1, parts);
        int first = Arrays.binarySearch(starts, 0, tensors.length, from);
        for (int i = first >= 0 ? first : -first - 2; i >= 0 && i < tensors.length && starts[i] < to; i++) {
            long begin = Math.max(from - starts[i], 0);
            long end = Math.min(to - starts[i], tensors[i].count);
            if (begin < end) {
                tensors[i].update.run(tensors[i], begin, end, scalars, maximize);
            }
        }
    }

    private static long boundary(long total, int part, int parts) {
        return part == parts ? total : total / parts * part / LINE * LINE;
    }

    @Override
    public void close() {
        // owns nothing
    }
}
