package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.OperatingSystemMXBean;
import com.sun.management.ThreadMXBean;
import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LogSoftmax;
import dev.isobit.LrSchedule;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/**
 * No operation allocates once it is warm, on any thread, in a JVM in which two backends are open and heap and native
 * memory are both in use, and much memory of a confined arena was read before: so all operations run by turns until they are
 * compiled, and are measured by turns.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CpuAllocationTest {
    private static final int ROWS = 23;
    private static final int CLASSES = 1003;
    private static final int LONG = 3001;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** An operation and how often it runs in a round: waking others takes long on a busy machine. */
    private record Op(String name, int repeats, Runnable run) {}

    private final List<AutoCloseable> opened = new ArrayList<>();
    private final List<Op> ops = new ArrayList<>();

    /**
     * Most of what a JVM reads before may be memory of confined arenas. The JIT then expects the owner of any memory to be
     * the current thread, and takes a loop back that it finds over memory that no thread owns: see VectorAccess.step.
     */
    private static void readConfinedMemory() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment numbers = arena.allocate(ValueLayout.JAVA_FLOAT, 1 << 18);
            for (int round = 0; round < 20; round++) {
                for (int i = 0; i < 1 << 18; i++) {
                    numbers.setAtIndex(ValueLayout.JAVA_FLOAT, i, numbers.getAtIndex(ValueLayout.JAVA_FLOAT, i) + i);
                }
            }
            assertTrue(numbers.getAtIndex(ValueLayout.JAVA_FLOAT, 1) == 20);
        }
    }

    /** A JVM that has made many slices of all kinds of memory compiles what makes one by itself, and inlines it in few places. */
    private static void sliceMemory() {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment[] kinds = {arena.allocate(64), MemorySegment.ofArray(new float[16]),
                MemorySegment.ofArray(new byte[64]), MemorySegment.ofArray(new long[8]),
                MemorySegment.ofArray(new short[32])};
            long bytes = 0;
            for (int i = 0; i < 20_000_000; i++) {
                bytes += kinds[i % kinds.length].asSlice(i & 31, 32).byteSize();
            }
            assertEquals(32L * 20_000_000, bytes);
        }
    }

    @BeforeAll
    void open() {
        readConfinedMemory();
        sliceMemory();
        for (int threads : new int[] {1, 3}) {
            Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
            opened.add(backend);
            int repeats = threads == 1 ? 300 : 80;
            for (boolean nativeMemory : new boolean[] {false, true}) {
                String where = (nativeMemory ? ", native memory, " : ", arrays, ") + threads + " threads";
                for (Reduction reduction : new Reduction[] {Reduction.NONE, Reduction.MEAN}) {
                    addCrossEntropy(backend, nativeMemory, reduction, repeats, reduction + where);
                }
                addGeneralCrossEntropy(backend, nativeMemory, Math.min(80, repeats), where);
                addBce(backend, nativeMemory, repeats, where);
                addSoftmax(backend, nativeMemory, repeats, where);
                addNllLoss(backend, nativeMemory, repeats, where);
                addAdam(backend, nativeMemory, repeats, where);
            }
        }
    }

    @AfterAll
    void close() throws Exception {
        for (AutoCloseable o : opened.reversed()) {
            o.close();
        }
    }

    private void addCrossEntropy(Backend backend, boolean nativeMemory, Reduction reduction, int repeats,
            String where) {
        CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults().withReduction(reduction));
        opened.add(op);
        Tensor logits = tensor(nativeMemory, ROWS, CLASSES);
        Tensor gradLogits = tensor(nativeMemory, ROWS, CLASSES);
        long[] indices = new long[ROWS];
        indices[3] = CrossEntropyOptions.DEFAULT_IGNORE_INDEX;
        indices[4] = CLASSES - 1;
        Tensor targets = Tensor.of(indices, ROWS);
        Tensor loss = reduction == Reduction.NONE ? tensor(nativeMemory, ROWS) : tensor(nativeMemory, 1);
        Tensor gradLoss = reduction == Reduction.NONE ? tensor(nativeMemory, ROWS) : tensor(nativeMemory, 1);
        ops.add(new Op("lossAndGradient " + where, repeats,
                () -> op.lossAndGradient(logits, targets, gradLoss, loss, gradLogits)));
        if (reduction == Reduction.MEAN) {
            Tensor narrow = narrow(nativeMemory, ROWS, CLASSES);
            Tensor narrowGradient = narrow(nativeMemory, ROWS, CLASSES);
            ops.add(new Op("lossAndGradient of BF16 " + where, repeats,
                    () -> op.lossAndGradient(narrow, targets, gradLoss, loss, narrowGradient)));
            ops.add(new Op("loss " + where, repeats, () -> op.loss(logits, targets, loss)));
            Tensor longRows = narrow(nativeMemory, 2, LONG);
            Tensor longGradient = narrow(nativeMemory, 2, LONG);
            Tensor two = Tensor.of(new long[] {1, LONG - 1}, 2);
            ops.add(new Op("lossAndGradient of long rows of BF16 " + where, repeats,
                    () -> op.lossAndGradient(longRows, two, gradLoss, loss, longGradient)));
            Tensor halfRows = Tensor.of(DType.F16, half(nativeMemory, 2 * LONG).memory(), 0, 2, LONG);
            Tensor halfGradient = Tensor.of(DType.F16, half(nativeMemory, 2 * LONG).memory(), 0, 2, LONG);
            ops.add(new Op("lossAndGradient of long rows of F16 " + where, repeats,
                    () -> op.lossAndGradient(halfRows, two, gradLoss, loss, halfGradient)));
        }
    }

    private void addGeneralCrossEntropy(Backend backend, boolean nativeMemory, int repeats, String where) {
        var options = CrossEntropyOptions.defaults().withLabelSmoothing(0.1).withZLoss(1e-4).withSoftcap(30)
                .withAccumulate(true);
        CrossEntropy op = CrossEntropy.on(backend, options);
        opened.add(op);
        Tensor gradLogits = tensor(nativeMemory, ROWS, CLASSES);
        Tensor loss = tensor(nativeMemory, 1);
        Tensor logits = tensor(nativeMemory, ROWS, CLASSES);
        var operands = CrossEntropyOperands.of(logits, Tensor.of(new long[ROWS], ROWS))
                .withClassWeights(tensor(nativeMemory, CLASSES)).withWeights(tensor(nativeMemory, ROWS))
                .withGradLoss(tensor(nativeMemory, 1)).withLse(tensor(nativeMemory, ROWS))
                .withEntropy(tensor(nativeMemory, ROWS)).withArgmax(Tensor.of(new long[ROWS], ROWS))
                .withHits(Tensor.of(new long[1])).withLogProbabilities(tensor(nativeMemory, ROWS, CLASSES));
        ops.add(new Op("lossAndGradient with options" + where, repeats,
                () -> op.lossAndGradient(operands, loss, gradLogits)));
        Tensor states = tensor(nativeMemory, op.stateShape(logits));
        var saving = operands.withStates(states);
        ops.add(new Op("loss with options, states" + where, repeats, () -> op.loss(saving, loss)));
        var saved = CrossEntropyOperands.of(logits, operands.targets()).withSavedStates(states);
        ops.add(new Op("gradient from states" + where, repeats, () -> op.gradient(saved, gradLogits)));
        CrossEntropy soft = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
        opened.add(soft);
        var probabilities = CrossEntropyOperands.of(logits, tensor(nativeMemory, ROWS, CLASSES));
        Tensor other = tensor(nativeMemory, ROWS, CLASSES);
        ops.add(new Op("lossAndGradient of probabilities" + where, repeats,
                () -> soft.lossAndGradient(probabilities, loss, other)));
        // Labels that are indices alone: with those above every loop of a gradient runs.
        var weighted = CrossEntropyOperands.of(logits, operands.targets())
                .withClassWeights(tensor(nativeMemory, CLASSES));
        ops.add(new Op("lossAndGradient with class weights" + where, repeats,
                () -> soft.lossAndGradient(weighted, loss, other)));
    }

    private void addBce(Backend backend, boolean nativeMemory, int repeats, String where) {
        BceWithLogits op = BceWithLogits.on(backend, BceWithLogitsOptions.defaults().withWeightedMean(true));
        opened.add(op);
        Tensor logits = tensor(nativeMemory, ROWS, CLASSES);
        Tensor gradLogits = tensor(nativeMemory, ROWS, CLASSES);
        Tensor loss = tensor(nativeMemory, 1);
        var operands = new BceWithLogitsOperands(logits, tensor(nativeMemory, ROWS, CLASSES),
                tensor(nativeMemory, CLASSES), tensor(nativeMemory, ROWS, 1), null, tensor(nativeMemory, 1),
                tensor(nativeMemory, ROWS, CLASSES));
        Tensor narrow = narrow(nativeMemory, ROWS, CLASSES);
        Tensor narrowGradient = narrow(nativeMemory, ROWS, CLASSES);
        ops.add(new Op("BceWithLogits.lossAndGradient of BF16" + where, repeats,
                () -> op.lossAndGradient(narrow, narrow, loss, narrowGradient)));
        BceWithLogits focal = BceWithLogits.on(backend, BceWithLogitsOptions.defaults().withFocal(2.5, 0.25));
        opened.add(focal);
        ops.add(new Op("focal BceWithLogits.lossAndGradient" + where, repeats,
                () -> focal.lossAndGradient(logits, operands.targets(), loss, gradLogits)));
        ops.add(new Op("BceWithLogits.lossAndGradient" + where, repeats,
                () -> op.lossAndGradient(operands, loss, gradLogits)));
    }

    private void addNllLoss(Backend backend, boolean nativeMemory, int repeats, String where) {
        NllLoss op = NllLoss.on(backend, NllLossOptions.defaults());
        opened.add(op);
        Tensor gradient = tensor(nativeMemory, ROWS, CLASSES);
        Tensor loss = tensor(nativeMemory, 1);
        var operands = new NllLossOperands(tensor(nativeMemory, ROWS, CLASSES), Tensor.of(new long[ROWS], ROWS),
                tensor(nativeMemory, CLASSES), tensor(nativeMemory, 1));
        ops.add(new Op("NllLoss.lossAndGradient" + where, repeats,
                () -> op.lossAndGradient(operands, loss, gradient)));
        Tensor narrowGradient = narrow(nativeMemory, ROWS, CLASSES);
        var narrow = NllLossOperands.of(narrow(nativeMemory, ROWS, CLASSES), Tensor.of(new long[ROWS], ROWS));
        ops.add(new Op("NllLoss.lossAndGradient of BF16" + where, repeats,
                () -> op.lossAndGradient(narrow, loss, narrowGradient)));
    }

    private void addSoftmax(Backend backend, boolean nativeMemory, int repeats, String where) {
        for (int axis = 0; axis < 2; axis++) {
            SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(axis);
            Softmax softmax = Softmax.on(backend, options);
            LogSoftmax log = LogSoftmax.on(backend, options);
            opened.add(softmax);
            opened.add(log);
            Tensor logits = tensor(nativeMemory, ROWS, CLASSES);
            Tensor result = tensor(nativeMemory, ROWS, CLASSES);
            String of = ", axis " + axis + where;
            ops.add(new Op("Softmax.probabilities" + of, repeats, () -> softmax.probabilities(logits, result)));
            ops.add(new Op("Softmax.gradient" + of, repeats, () -> softmax.gradient(logits, logits, result)));
            ops.add(new Op("LogSoftmax.logProbabilities" + of, repeats, () -> log.logProbabilities(logits, result)));
            ops.add(new Op("LogSoftmax.gradient" + of, repeats, () -> log.gradient(logits, logits, result)));
            Tensor narrow = narrow(nativeMemory, ROWS, CLASSES);
            Tensor narrowResult = narrow(nativeMemory, ROWS, CLASSES);
            ops.add(new Op("Softmax.probabilities of BF16" + of, repeats,
                    () -> softmax.probabilities(narrow, narrowResult)));
            ops.add(new Op("LogSoftmax.gradient of BF16" + of, repeats,
                    () -> log.gradient(narrow, narrow, narrowResult)));
        }
    }

    private void addAdam(Backend backend, boolean nativeMemory, int repeats, String where) {
        List<AdamParameter> parameters = new ArrayList<>();
        for (int size : new int[] {5, 20_000, 300}) {
            parameters.add(new AdamParameter("p" + size, tensor(nativeMemory, size), tensor(nativeMemory, size),
                    tensor(nativeMemory, size), tensor(nativeMemory, size)));
        }
        for (int size : new int[] {6, 20_001}) {
            parameters.add(new AdamParameter("narrow" + size, narrow(nativeMemory, 1, size),
                    narrow(nativeMemory, 1, size), tensor(nativeMemory, size), narrow(nativeMemory, 1, size)));
        }
        parameters.add(new AdamParameter("remainders", narrow(nativeMemory, 1, 7001), narrow(nativeMemory, 1, 7001),
                narrow(nativeMemory, 1, 7001), narrow(nativeMemory, 1, 7001))
                .withMaster(Tensor.of(DType.I16, narrow(nativeMemory, 1, 7001).memory(), 0, 1, 7001)));
        parameters.add(new AdamParameter("master", narrow(nativeMemory, 1, 7001), narrow(nativeMemory, 1, 7001),
                tensor(nativeMemory, 1, 7001), tensor(nativeMemory, 1, 7001))
                .withMaster(tensor(nativeMemory, 1, 7001)));
        parameters.add(new AdamParameter("bf16", narrow(nativeMemory, 1, 20_003), narrow(nativeMemory, 1, 20_003),
                narrow(nativeMemory, 1, 20_003), narrow(nativeMemory, 1, 20_003)));
        parameters.add(new AdamParameter("half", half(nativeMemory, 20_003), half(nativeMemory, 20_003),
                tensor(nativeMemory, 20_003), tensor(nativeMemory, 20_003)));
        parameters.add(new AdamParameter("half with a master", half(nativeMemory, 7003), half(nativeMemory, 7003),
                tensor(nativeMemory, 7003), narrow(nativeMemory, 1, 7003)).withMaster(tensor(nativeMemory, 7003)));
        AdamOptions adamW = AdamOptions.adamW().withSchedule(LrSchedule.cosine(1000, 0.1).withWarmup(20, 0));
        Adam adam = Adam.on(backend, adamW, parameters);
        opened.add(adam);
        ops.add(new Op("Adam.step" + where, repeats, adam::step));
        StepOptions step = StepOptions.defaults().withMaxNorm(1).withClipValue(0.5).withZeroGrad(true)
                .withGradScaling(GradScaling.defaults());
        Adam guarded = Adam.on(backend, List.of(new AdamGroup(adamW, parameters)), step,
                backend.defaultStream());
        opened.add(guarded);
        ops.add(new Op("guarded Adam.step" + where, repeats, guarded::step));
        Adam accumulating = Adam.on(backend, List.of(new AdamGroup(adamW, parameters)),
                step.withAccumulateGrad(true), backend.defaultStream());
        opened.add(accumulating);
        ops.add(new Op("Adam.accumulate" + where, repeats, accumulating::accumulate));
        for (SgdOptions options : List.of(SgdOptions.defaults(), SgdOptions.defaults().withMomentum(0.9))) {
            Sgd sgd = Sgd.on(backend, options,
                    parameters.stream().map(p -> SgdParameter.of(p.name(), p.param(), p.grad())
                            .withMaster(p.master())).toList());
            opened.add(sgd);
            ops.add(new Op("Sgd.step, momentum " + options.momentum() + where, repeats, sgd::step));
        }
    }

    /** Of BF16. Not of one value: rows full of maxima would send the next rows to code that is rarely used. */
    private static Tensor narrow(boolean nativeMemory, int rows, int classes) {
        SplittableRandom random = new SplittableRandom(2);
        short[] values = new short[rows * classes];
        for (int i = 0; i < values.length; i++) {
            values[i] = NarrowFloats.toBf16((float) random.nextGaussian());
        }
        MemorySegment array = MemorySegment.ofArray(values);
        MemorySegment memory = nativeMemory ? Arena.ofAuto().allocate(array.byteSize(), 64).copyFrom(array) : array;
        return Tensor.of(DType.BF16, memory, rows, classes);
    }

    private static Tensor half(boolean nativeMemory, int size) {
        SplittableRandom random = new SplittableRandom(3);
        short[] values = new short[size];
        for (int i = 0; i < size; i++) {
            values[i] = NarrowFloats.toF16((float) random.nextGaussian());
        }
        MemorySegment array = MemorySegment.ofArray(values);
        MemorySegment memory = nativeMemory ? Arena.ofAuto().allocate(array.byteSize(), 64).copyFrom(array) : array;
        return Tensor.of(DType.F16, memory, size);
    }

    private static Tensor tensor(boolean nativeMemory, long... shape) {
        SplittableRandom random = new SplittableRandom(1);
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        float[] values = new float[(int) count];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat();
        }
        Tensor array = Tensor.of(values, shape);
        if (!nativeMemory) {
            return array;
        }
        Tensor tensor = Tensor.of(DType.F32, Arena.ofAuto().allocate(array.byteSize(), 64), shape);
        tensor.segment().copyFrom(array.segment());
        return tensor;
    }

    /** Bytes allocated so far by this thread and all workers. */
    private static long allocated(long[] threads) {
        long sum = 0;
        for (long bytes : THREADS.getThreadAllocatedBytes(threads)) {
            sum += Math.max(bytes, 0);
        }
        return sum;
    }

    private double bytesPerOp(Op op, long[] threads) {
        long before = allocated(threads);
        for (int i = 0; i < op.repeats; i++) {
            op.run.run();
        }
        return (allocated(threads) - before) / (double) op.repeats;
    }

    /** Of this JVM: a busy machine may leave the JIT little of a minute. */
    private static long processorNanos() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    @Test
    void nothingPerOperation() {
        assertTrue(THREADS.isThreadAllocatedMemorySupported());
        THREADS.setThreadAllocatedMemoryEnabled(true);
        long[] threads = Thread.getAllStackTraces().keySet().stream().filter(t -> t == Thread.currentThread()
                || t.getName().startsWith("isobit-cpu-")).mapToLong(Thread::threadId).toArray();
        assertTrue(threads.length >= 3, "the workers were not found");
        // What allocates by nature never has a round without; a round in which the JIT changed its mind is no proof.
        long start = processorNanos();
        List<Op> open = new ArrayList<>(ops);
        List<Op> cleanBefore = List.of();
        List<String> last = new ArrayList<>();
        do {
            List<Op> clean = new ArrayList<>();
            last.clear();
            for (Op op : ops) {
                double bytes = bytesPerOp(op, threads);
                if (bytes < 1) {
                    clean.add(op);
                } else {
                    last.add(op.name + ": " + bytes + " bytes");
                }
            }
            // Twice in succession, while all others run too.
            for (Op op : clean) {
                if (cleanBefore.contains(op)) {
                    open.remove(op);
                }
            }
            cleanBefore = clean;
        } while (!open.isEmpty() && processorNanos() - start < TimeUnit.SECONDS.toNanos(100));
        assertTrue(open.isEmpty(), () -> "after 100 s of processor time: " + last);
    }

    /** The measurement sees what a worker allocates. */
    @Test
    void theMeasurementSeesWorkers() {
        try (Workers workers = new Workers(2)) {
            long[] threads = Thread.getAllStackTraces().keySet().stream()
                    .filter(t -> t.getName().startsWith("isobit-cpu-")).mapToLong(Thread::threadId).toArray();
            long before = allocated(threads);
            var kept = new AtomicReferenceArray<byte[]>(2);
            workers.run((member, from, to) -> {
                kept.set(member, new byte[1 << 20]);
                while (kept.get(1) == null) {
                    Thread.onSpinWait();
                }
            }, 2, 1, true);
            assertTrue(allocated(threads) - before >= 1 << 20);
            assertTrue(kept.get(1).length > 0);
        }
    }
}
