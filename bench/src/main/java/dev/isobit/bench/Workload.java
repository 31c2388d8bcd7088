package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.harness.BackendTensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.Ulp;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * An operation with its operands on one backend, seeded, and what float64 makes of the same operands. The host's side of
 * the operands is native memory, so that peers may read it. Used by one thread.
 */
abstract class Workload implements AutoCloseable {
    static final long SEED = 20250104;
    /** Operations that `isobit bench` does not time: BCE without posWeight, and AdamW whose moments are of the parameters' type. */
    static final String PLAIN_BCE = "bce without posWeight";
    static final String NARROW_ADAMW = "adamw with narrow moments";

    final BenchCase what;
    final Inputs inputs;
    /** Whether a loss is a mean; else one for each row or element. */
    final boolean mean;
    final Backend backend;

    /**
     * Errors of one output.
     *
     * @param accuracy in units in the last place
     * @param share the largest error, but for what the output's type rounds off, by the largest result
     */
    record Judged(Accuracy accuracy, double share) {}

    private final Arena arena = Arena.ofShared();
    private final Map<String, BackendTensor> operands = new LinkedHashMap<>();
    private final Map<String, MemorySegment> exact = new HashMap<>();

    Workload(BenchCase what, Inputs inputs, boolean mean, Backend backend) {
        this.what = what;
        this.inputs = inputs;
        this.mean = mean;
        this.backend = backend;
    }

    static Workload of(BenchCase what, Inputs inputs, boolean mean, Backend backend) {
        Workload made = switch (what.operation()) {
            case "cross-entropy" -> new CrossEntropyWorkload(what, inputs, mean, backend);
            case "bce" -> new BceWorkload(what, inputs, mean, true, backend);
            case PLAIN_BCE -> new BceWorkload(what, inputs, mean, false, backend);
            case "adamw" -> new AdamWorkload(what, inputs, DType.F32, false, backend);
            case AdamWorkload.CLIPPED -> new AdamWorkload(what, inputs, DType.F32, true, backend);
            case NARROW_ADAMW -> new AdamWorkload(what, inputs, what.dtype(), false, backend);
            case "sgd" -> new SgdWorkload(what, inputs, backend);
            default -> throw new IllegalArgumentException("no operation " + what.operation());
        };
        made.reset();
        return made;
    }

    /** Bytes that a call has to move, each operand once. */
    abstract long bytes();

    /** Queues the operation once. */
    abstract void run();

    /** Writes inputs, and what an optimizer starts from. */
    abstract void fill(Rng rng);

    /** The operands that are results. */
    abstract List<String> outputs();

    /** Float64 results of the operands as {@link #fill} left them: what {@link #outputs} should be. */
    abstract Map<String, MemorySegment> reference(Backend reference, Arena arena);

    /** An error is counted in ULP of the result, but of no smaller number than this: what was added to get there. */
    double addend(String output) {
        return 0;
    }

    /** What a peer gets. */
    abstract Peer.Problem problem();

    final Tensor operand(String name, DType dtype, long... shape) {
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        Tensor host = Tensor.of(dtype, HostMemory.of(arena.allocate(count * dtype.byteSize(), 64)), 0, shape);
        BackendTensor both = BackendTensor.of(backend, host);
        operands.put(name, both);
        return both.tensor();
    }

    final MemorySegment host(String name) {
        return operands.get(name).host().segment();
    }

    /** The host's side of an operand. */
    final Tensor hostTensor(String name) {
        return operands.get(name).host();
    }

    /** Writes an element of a tensor of the host, rounded to its type. */
    static void set(Tensor to, long i, float value) {
        switch (to.dtype()) {
            case BF16 -> to.segment().setAtIndex(ValueLayout.JAVA_SHORT, i, NarrowFloats.toBf16(value));
            case F16 -> to.segment().setAtIndex(ValueLayout.JAVA_SHORT, i, NarrowFloats.toF16(value));
            default -> to.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        }
    }

    private static float get(DType dtype, MemorySegment from, long i) {
        return switch (dtype) {
            case BF16 -> NarrowFloats.fromBf16(from.getAtIndex(ValueLayout.JAVA_SHORT, i));
            case F16 -> NarrowFloats.fromF16(from.getAtIndex(ValueLayout.JAVA_SHORT, i));
            default -> from.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        };
    }

    final Map<String, MemorySegment> hosts(String... names) {
        Map<String, MemorySegment> map = new LinkedHashMap<>();
        for (String name : names) {
            map.put(name, host(name));
        }
        return map;
    }

    /** Puts all operands where they were at first. */
    final void reset() {
        fill(new Rng(SEED));
        operands.values().forEach(BackendTensor::upload);
    }

    final void synchronize() {
        backend.defaultStream().synchronize();
    }

    /** Computes what comes out; later calls of {@link #judge} compare with it. */
    final void makeReference() {
        try (Backend reference = Backend.open("reference")) {
            exact.putAll(reference(reference, arena));
        }
    }

    /** Runs once from the start and compares. */
    final List<Judged> check(String runner) {
        return check(runner, this::run);
    }

    /** As {@link #check(String)}, of another way to run it once. */
    final List<Judged> check(String runner, Runnable run) {
        reset();
        run.run();
        synchronize();
        List<Judged> found = new ArrayList<>();
        for (String output : outputs()) {
            operands.get(output).download();
            found.add(judge(runner, output, host(output)));
        }
        return found;
    }

    /** A peer's call, from the start; none if it has none, or says that its results are wrong. */
    final Peer.@Nullable Call prepare(Peer peer, Consumer<String> absent) {
        if (!peer.takes(what.dtype())) {
            return null;
        }
        reset();
        try {
            Peer.Call call = peer.prepare(problem());
            if (call == null) {
                absent.accept(peer.name() + " has no " + what.operation());
            }
            return call;
        } catch (IllegalStateException e) {
            absent.accept(what + ": " + e.getMessage());
            return null;
        }
    }

    /** Runs a peer's call once, its first time, and compares what it keeps. */
    final List<Judged> check(Peer peer, Peer.Call call) {
        call.run();
        List<Judged> found = new ArrayList<>();
        try (Arena own = Arena.ofConfined()) {
            for (String output : outputs()) {
                MemorySegment result = own.allocate(host(output).byteSize(), 64);
                if (call.read(output, result)) {
                    found.add(judge(peer.name(), output, result));
                }
            }
        }
        return found;
    }

    private Judged judge(String runner, String output, MemorySegment actual) {
        MemorySegment expected = exact.get(output);
        DType dtype = hostTensor(output).dtype();
        long count = actual.byteSize() / dtype.byteSize();
        double floor = addend(output);
        double largest = 0;
        double squares = 0;
        double farthest = 0;
        double greatest = Double.MIN_NORMAL;
        long digest = count;
        for (long i = 0; i < count; i++) {
            float value = get(dtype, actual, i);
            double target = expected.getAtIndex(ValueLayout.JAVA_DOUBLE, i);
            double apart = Math.abs(value - target);
            double error = apart / Ulp.at(dtype, Math.max(Math.abs(target), floor));
            // A NaN is the largest error there is.
            error = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
            largest = Math.max(largest, error);
            double beyond = Math.max(0, apart - Ulp.at(dtype, target) / 2);
            farthest = Math.max(farthest, Double.isNaN(beyond) ? Double.POSITIVE_INFINITY : beyond);
            greatest = Math.max(greatest, Math.abs(target));
            squares += error * error;
            digest = Rng.mix(digest + Float.floatToRawIntBits(value));
        }
        return new Judged(new Accuracy(runner, what.operation(), what.dtype().name(), inputs.text(), output, count,
                largest, Math.sqrt(squares / count), Long.toHexString(digest)), farthest / greatest);
    }

    /** A digest of the results after one run from the start. */
    final String digest() {
        return digest(this::run);
    }

    /** As {@link #digest()}, of another way to run it once. */
    final String digest(Runnable run) {
        StringBuilder all = new StringBuilder();
        for (Judged judged : check("", run)) {
            all.append(judged.accuracy().digest()).append(' ');
        }
        return all.toString();
    }

    static void uniform(Tensor to, Rng rng, float center, float width) {
        long count = to.segment().byteSize() / to.dtype().byteSize();
        for (long i = 0; i < count; i++) {
            set(to, i, center + width * (rng.nextFloat() - 0.5f));
        }
    }

    static void poison(MemorySegment to) {
        to.fill((byte) 0xff);
    }

    static MemorySegment toDouble(Tensor floats, Arena arena) {
        MemorySegment from = floats.segment();
        long count = from.byteSize() / floats.dtype().byteSize();
        MemorySegment doubles = arena.allocate(Double.BYTES * count, 64);
        for (long i = 0; i < count; i++) {
            doubles.setAtIndex(ValueLayout.JAVA_DOUBLE, i, get(floats.dtype(), from, i));
        }
        return doubles;
    }

    @Override
    public void close() {
        operands.values().forEach(BackendTensor::close);
        arena.close();
    }
}
