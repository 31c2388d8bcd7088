package dev.isobit.sim;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** A few steps of training with both operations: every kind of row kernel, and AdamW. */
final class Workload implements AutoCloseable {
    private static final int[] CLASSES = {5, 200, 1500};
    private static final int ROWS = 6;

    private final Backend backend;
    private final List<Memory> memories = new ArrayList<>();
    private final List<CrossEntropy> losses = new ArrayList<>();
    private final List<Tensor[]> operands = new ArrayList<>();
    private final List<AdamParameter> parameters = new ArrayList<>();
    private Adam adam;

    Workload(Backend backend) {
        this.backend = backend;
    }

    static int[] bits(String name) {
        try (Backend backend = Backend.open(name)) {
            return bits(backend);
        }
    }

    /** All that two steps write. */
    static int[] bits(Backend backend) {
        try (var workload = new Workload(backend)) {
            workload.prepare();
            workload.step();
            workload.step();
            return workload.state();
        }
    }

    void prepare() {
        for (int classes : CLASSES) {
            Random random = new Random(classes);
            float[] logits = new float[ROWS * classes];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) random.nextGaussian();
            }
            long[] targets = random.longs(ROWS, 0, classes).toArray();
            losses.add(CrossEntropy.on(backend, CrossEntropyOptions.defaults()));
            operands.add(new Tensor[] {put(logits, ROWS, classes), put(Tensor.of(targets, ROWS)), put(new float[1]),
                put(new float[ROWS * classes], ROWS, classes)});
            parameters.add(new AdamParameter("logits " + classes, operands.getLast()[0], operands.getLast()[3],
                    put(new float[ROWS * classes], ROWS, classes), put(new float[ROWS * classes], ROWS, classes)));
        }
        adam = Adam.on(backend, AdamOptions.adamW().withLr(0.1), parameters);
    }

    private Tensor put(float[] values, long... shape) {
        return put(Tensor.of(values, shape));
    }

    private Tensor put(Tensor host) {
        Tensor tensor = backend.allocate(host.dtype(), host.shape());
        memories.add(tensor.memory());
        backend.copy(host, tensor);
        return tensor;
    }

    void step() {
        for (int i = 0; i < losses.size(); i++) {
            Tensor[] o = operands.get(i);
            losses.get(i).lossAndGradient(o[0], o[1], o[2], o[3]);
        }
        adam.step();
        backend.defaultStream().synchronize();
    }

    /** Losses, gradients, parameters and moments. */
    int[] state() {
        int[] all = new int[0];
        for (int i = 0; i < operands.size(); i++) {
            AdamParameter p = parameters.get(i);
            for (Tensor tensor : List.of(operands.get(i)[2], operands.get(i)[3], p.param(), p.expAvg(), p.expAvgSq())) {
                int count = (int) tensor.elementCount();
                float[] values = new float[count];
                backend.copy(tensor, Tensor.of(DType.F32, java.lang.foreign.MemorySegment.ofArray(values),
                        tensor.shape()));
                int at = all.length;
                all = Arrays.copyOf(all, at + count);
                for (int k = 0; k < count; k++) {
                    all[at + k] = Float.floatToRawIntBits(values[k]);
                }
            }
        }
        return all;
    }

    long stepCount() {
        return adam.stepCount();
    }

    @Override
    public void close() {
        List<RuntimeException> failures = new ArrayList<>();
        List<AutoCloseable> all = new ArrayList<>(losses);
        if (adam != null) {
            all.add(adam);
        }
        all.addAll(memories);
        for (AutoCloseable each : all) {
            try {
                each.close();
            } catch (RuntimeException e) {
                failures.add(e);
            } catch (Exception e) {
                failures.add(new IllegalStateException(e));
            }
        }
        if (!failures.isEmpty()) {
            failures.stream().skip(1).filter(e -> e != failures.getFirst()).forEach(failures.getFirst()::addSuppressed);
            throw failures.getFirst();
        }
    }
}
