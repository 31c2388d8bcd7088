package dev.isobit.junit;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.opentest4j.AssertionFailedError;

/**
 * What a test records, the parameter of methods with {@link GoldenTrace} or {@link BackendsAgree}. Each tensor is copied to
 * the host when it is recorded, and compared there and then.
 *
 * <p>Threading: used by the test's thread.
 */
public final class Trace {
    private final List<Snapshot> taken = new ArrayList<>();
    private @Nullable Backend backend;
    private @Nullable List<Snapshot> expected;
    private String origin = "";
    private String remedy = "";
    private int step;

    /** Made before the backend is known: a parameter is resolved first. */
    Trace() {}

    /**
     * Begins.
     *
     * @param on where it runs
     * @param against what it is compared with; null to only record
     * @param from where that comes from, for messages
     * @param stale what to do if it has other tensors
     */
    void begin(Backend on, @Nullable List<Snapshot> against, String from, String stale) {
        backend = on;
        expected = against;
        origin = from;
        remedy = stale;
    }

    /**
     * The backend that the test has to use.
     *
     * @return an open backend, closed after the test
     */
    public Backend backend() {
        return Objects.requireNonNull(backend, "the test has not begun");
    }

    /** Begins the next step: 1, 2, and so on. What is recorded before the first has step 0. */
    public void step() {
        step++;
    }

    /**
     * Records a tensor as it is now.
     *
     * @param op what wrote it last, for messages
     * @param name its name
     * @param tensor the tensor, of this test's backend or in host memory; of less than 2^31 bytes
     * @throws AssertionFailedError if it differs from what was expected
     * @throws IllegalArgumentException if op or name has a tab or a line end in it
     */
    public void record(String op, String name, Tensor tensor) {
        for (String text : List.of(op, name)) {
            if (text.isEmpty() || text.chars().anyMatch(Character::isISOControl)) {
                throw new IllegalArgumentException("Trace.record: \"" + text + "\" is no name");
            }
        }
        byte[] bits = bits(tensor);
        Elements.canonicalize(bits, tensor.dtype());
        var now = new Snapshot(step, op, name, tensor.dtype(), tensor.shape(), Elements.hash(bits), bits);
        taken.add(now);
        if (expected != null) {
            compare(expected, now);
        }
    }

    private byte[] bits(Tensor tensor) {
        if (tensor.memory() instanceof HostMemory) {
            return tensor.segment().toArray(ValueLayout.JAVA_BYTE);
        }
        MemorySegment host = MemorySegment.ofArray(new long[Math.toIntExact(Math.ceilDiv(tensor.byteSize(), 8))])
                .asSlice(0, tensor.byteSize());
        backend().copy(tensor, Tensor.of(tensor.dtype(), host, tensor.shape()));
        return host.toArray(ValueLayout.JAVA_BYTE);
    }

    private void compare(List<Snapshot> against, Snapshot now) {
        if (taken.size() > against.size()) {
            throw new AssertionFailedError(origin + " is stale: it ends before " + now.place() + remedy);
        }
        Snapshot then = against.get(taken.size() - 1);
        if (!then.isSame(now)) {
            throw new AssertionFailedError(origin + " is stale: it has " + then.place() + " where this run has "
                    + now.place() + remedy);
        }
        if (!then.hash().equals(now.hash())) {
            throw difference(then, now);
        }
    }

    private AssertionFailedError difference(Snapshot then, Snapshot now) {
        byte[] ours = Objects.requireNonNull(now.bits());
        if (then.bits() == null) {
            return new AssertionFailedError(origin + " and this run part at " + now.place() + ", on "
                    + here() + ". It keeps hashes only: to name the element, record it with "
                    + "Detail.ELEMENTS", then.hash(), now.hash());
        }
        DType dtype = now.dtype();
        int first = -1;
        int differing = 0;
        int count = ours.length / dtype.byteSize();
        for (int i = 0; i < count; i++) {
            if (Elements.get(then.bits(), dtype, i) != Elements.get(ours, dtype, i)) {
                first = first < 0 ? i : first;
                differing++;
            }
        }
        long a = Elements.get(then.bits(), dtype, first);
        long b = Elements.get(ours, dtype, first);
        return new AssertionFailedError(origin + " and this run part at " + now.place() + ", element "
                + Arrays.toString(indices(first, now.shape())) + ": " + Elements.text(a, dtype) + " there, "
                + Elements.text(b, dtype) + " here" + Elements.distance(a, b, dtype) + "; " + differing + " of " + count
                + " elements differ. Here: " + here(), Elements.text(a, dtype),
                Elements.text(b, dtype));
    }

    private String here() {
        return backend().name() + ": " + backend().description();
    }

    private static long[] indices(long flat, long[] shape) {
        long[] indices = new long[shape.length];
        long left = flat;
        for (int axis = shape.length - 1; axis >= 0; axis--) {
            indices[axis] = left % shape[axis];
            left /= shape[axis];
        }
        return indices;
    }

    /** Ends: nothing may be missing, and something has to be there. */
    List<Snapshot> finish() {
        if (taken.isEmpty()) {
            throw new AssertionFailedError("the test recorded no tensor: there is nothing to compare");
        }
        if (expected != null && taken.size() < expected.size()) {
            throw new AssertionFailedError(origin + " is stale: it goes on with " + expected.get(taken.size()).place()
                    + " where this run ends" + remedy);
        }
        return taken;
    }
}
