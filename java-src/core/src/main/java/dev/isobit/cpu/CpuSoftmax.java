package dev.isobit.cpu;

import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import dev.isobit.spi.SoftmaxCall;
import dev.isobit.spi.SoftmaxKernel;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Softmax and log-softmax on the CPU: rows, or tiles of neighbouring columns, are split over the workers.
 */
final class CpuSoftmax implements SoftmaxKernel, Workers.Task {
    private static final SoftmaxCall NOTHING = new SoftmaxCall();

    private final CpuBackend backend;
    private final Workers workers;
    private final SoftmaxRows[] rows;
    private SoftmaxCall call = NOTHING;

    CpuSoftmax(CpuBackend backend, boolean logarithm) {
        this.backend = backend;
        this.workers = backend.workers();
        rows = new SoftmaxRows[workers.count()];
        Arrays.setAll(rows, i -> new SoftmaxRows(backend.kernels(), logarithm));
    }

    @Override
    public void run(SoftmaxCall asked) {
        backend.requireOpen();
        boolean parallel = mayShare(asked.input) && (asked.gradOutput == null || mayShare(asked.gradOutput))
                && mayShare(asked.result);
        long count = SoftmaxRows.count(asked);
        long elements = asked.outer * asked.classes * asked.inner;
        call = asked;
        try {
            workers.run(this, count, Workers.worthSharing(elements / Math.max(1, count)), parallel);
        } finally {
            call = NOTHING;
        }
    }

    @Override
    public void run(int member, long from, long to) {
        SoftmaxRows mine = rows[member];
        try {
            mine.begin(call);
            mine.run(from, to);
        } finally {
            mine.clear();
        }
    }

    private boolean mayShare(@Nullable Tensor tensor) {
        return workers.mayAccess(((HostMemory) Objects.requireNonNull(tensor).memory()).segment());
    }

    @Override
    public void close() {
        for (SoftmaxRows each : rows) {
            each.release();
        }
    }
}
