package dev.isobit.cpu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiPredicate;
import java.util.stream.Stream;

/** All tensors of an optimizer in one parallel region, their elements split over the workers. */
abstract class ElementSplit implements Workers.Task {
    /** What a worker is given at least, in elements: it lies in cache lines of its own. */
    private static final long WORTH_SHARING = 1 << 14;

    private final CpuBackend backend;
    /** Where each tensor's elements start among all elements; one more entry, their number. */
    private final long[] starts;
    private boolean shared = true;

    ElementSplit(CpuBackend backend, int tensors) {
        this.backend = backend;
        this.starts = new long[tensors + 1];
    }

    /**
     * Parameters that lie side by side become one: a call for each of thousands of small ones costs more than its work.
     *
     * @param operands in the order given
     * @param extend takes the second along with the first, or returns false
     */
    static <T> List<T> joined(Stream<T> operands, BiPredicate<T, T> extend) {
        List<T> joined = new ArrayList<>();
        operands.forEach(next -> {
            if (joined.isEmpty() || !extend.test(joined.getLast(), next)) {
                joined.add(next);
            }
        });
        return joined;
    }

    /** Tells the next tensor, from 0. */
    final void add(int tensor, long count, FloatOperand... operands) {
        starts[tensor + 1] = starts[tensor] + count;
        for (FloatOperand operand : operands) {
            shared &= backend.workers().mayAccess(operand.segment);
        }
    }

    /** How many elements there are. */
    final long elements() {
        return starts[starts.length - 1];
    }

    /** Where a tensor's elements start among all. */
    final long start(int tensor) {
        return starts[tensor];
    }

    /** The first tensor that may have one of the elements from here on. */
    final int tensorAt(long element) {
        int first = Arrays.binarySearch(starts, 0, starts.length - 1, element);
        return first >= 0 ? first : -first - 2;
    }

    /** A member of the team updates elements [from, to) of a tensor. */
    abstract void update(int member, int tensor, long from, long to);

    /** Updates all elements of all tensors. */
    final void updateAll() {
        runShared(this, elements(), WORTH_SHARING);
    }

    /** Runs a task as {@link Workers#run} does, if the workers may touch the memory. */
    final void runShared(Workers.Task task, long units, long least) {
        backend.requireOpen();
        backend.workers().run(task, units, least, shared);
    }

    @Override
    public final void run(int member, long from, long to) {
        int tensors = starts.length - 1;
        for (int i = tensorAt(from); i >= 0 && i < tensors && starts[i] < to; i++) {
            long begin = Math.max(from - starts[i], 0);
            long end = Math.min(to, starts[i + 1]) - starts[i];
            if (begin < end) {
                update(member, i, begin, end);
            }
        }
    }
}
