package dev.isobit.bench;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.Ulp;
import dev.isobit.spi.AdamScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * AdamW over some tensors of one size, F32, on one set of operands: by the cpu backend and by the C baseline. Seeded. The
 * four arrays of a tensor lie in four regions, those of neighbouring tensors side by side.
 */
final class AdamCase implements AutoCloseable {
    /** Bytes that must move for a parameter: four floats are read, three written. */
    static final long BYTES_PER_ELEMENT = 28;

    private static final AdamOptions OPTIONS = AdamOptions.adamW();
    private static final long SEED = 20250102;
    /** A page and a line: four streams must not meet in one set of a cache. */
    private static final long STAGGER = 4096 + 64;
    /** NUMERICS.md, and one for the reference's own rounding to float. */
    private static final double EXP_AVG_ULP = 4;
    private static final double EXP_AVG_SQ_ULP = 5;
    private static final double PARAM_ULP = 7;
    private static final double BASELINE_ULP = 16;
    private static final double TINY = 1e-38;

    final long tensors;
    final long size;
    final int threads;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment param;
    private final MemorySegment grad;
    private final MemorySegment expAvg;
    private final MemorySegment expAvgSq;
    private final MemorySegment table;
    private final AdamScalars scalars = new AdamScalars();
    private final Backend backend;
    private final Adam operation;
    private long steps;

    AdamCase(long tensors, long size, int threads) {
        this.tensors = tensors;
        this.size = size;
        this.threads = threads;
        MemorySegment all = arena.allocate(4 * (4 * elements() + STAGGER), 64);
        MemorySegment[] regions = new MemorySegment[4];
        for (int i = 0; i < 4; i++) {
            regions[i] = all.asSlice(i * (4 * elements() + STAGGER) / 64 * 64, 4 * elements());
        }
        param = regions[0];
        grad = regions[1];
        expAvg = regions[2];
        expAvgSq = regions[3];
        var rng = new Rng(SEED);
        for (long i = 0; i < elements(); i++) {
            param.set(ValueLayout.JAVA_FLOAT, 4 * i, rng.nextFloat() - 0.5f);
            grad.set(ValueLayout.JAVA_FLOAT, 4 * i, rng.nextFloat() - 0.5f);
            expAvg.set(ValueLayout.JAVA_FLOAT, 4 * i, 0.1f * (rng.nextFloat() - 0.5f));
            expAvgSq.set(ValueLayout.JAVA_FLOAT, 4 * i, 0.01f * rng.nextFloat());
        }
        table = arena.allocate(Baseline.TENSOR.byteSize() * tensors, 8);
        for (long i = 0; i < tensors; i++) {
            long row = i * Baseline.TENSOR.byteSize();
            for (int j = 0; j < 4; j++) {
                table.set(ValueLayout.JAVA_LONG, row + 8L * j, regions[j].address() + 4 * size * i);
            }
            table.set(ValueLayout.JAVA_LONG, row + 32, size);
        }
        backend = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
        operation = Adam.on(backend, OPTIONS, parameters(param, expAvg, expAvgSq));
    }

    private List<AdamParameter> parameters(MemorySegment params, MemorySegment expAvgs, MemorySegment expAvgSqs) {
        List<AdamParameter> list = new ArrayList<>();
        for (long i = 0; i < tensors; i++) {
            list.add(new AdamParameter("t" + i, tensor(params, i), tensor(grad, i), tensor(expAvgs, i),
                    tensor(expAvgSqs, i)));
        }
        return list;
    }

    private Tensor tensor(MemorySegment region, long i) {
        return Tensor.of(DType.F32, HostMemory.of(region), 4 * size * i, size);
    }

    long elements() {
        return tensors * size;
    }

    long bytes() {
        return BYTES_PER_ELEMENT * elements();
    }

    String description() {
        return backend.description();
    }

    void isobit() {
        operation.setStepCount(steps++);
        operation.step();
    }

    void baseline(Baseline.Way way) {
        scalars.set(OPTIONS, OPTIONS.lr(), ++steps);
        Baseline.adamW(table, tensors, scalars, DType.F32, DType.F32, way, threads);
    }

    /**
     * Does one more step on either side of the comparison and compares all results.
     *
     * @param way how the baseline does the step, whose tolerance is wider; null if the backend does it
     * @throws IllegalStateException if an element is wrong
     */
    void check(Baseline.@Nullable Way way) {
        boolean byBaseline = way != null;
        try (Arena own = Arena.ofShared(); Backend reference = Backend.open("reference")) {
            MemorySegment exactParam = copy(own, param);
            MemorySegment exactExpAvg = copy(own, expAvg);
            MemorySegment exactExpAvgSq = copy(own, expAvgSq);
            try (var exact = Adam.on(reference, OPTIONS, parameters(exactParam, exactExpAvg, exactExpAvgSq))) {
                exact.setStepCount(steps);
                exact.step();
            }
            if (way != null) {
                baseline(way);
            } else {
                isobit();
            }
            compare("expAvg", expAvg, exactExpAvg, byBaseline ? BASELINE_ULP : EXP_AVG_ULP, 0.1);
            compare("expAvgSq", expAvgSq, exactExpAvgSq, byBaseline ? BASELINE_ULP : EXP_AVG_SQ_ULP, 0.01);
            compare("param", param, exactParam, byBaseline ? BASELINE_ULP : PARAM_ULP, 2 * OPTIONS.lr());
        }
    }

    private static MemorySegment copy(Arena arena, MemorySegment from) {
        return arena.allocate(from.byteSize(), 64).copyFrom(from);
    }

    /** Addends of opposite sign meet: an ULP is taken at the larger of the result and what was added to it. */
    private void compare(String what, MemorySegment values, MemorySegment exactValues, double ulp, double addend) {
        for (long i = 0; i < elements(); i++) {
            float value = values.get(ValueLayout.JAVA_FLOAT, 4 * i);
            float exact = exactValues.get(ValueLayout.JAVA_FLOAT, 4 * i);
            double allowed = ulp * Ulp.ofFloatAt(Math.max(Math.abs(exact), addend)) + TINY;
            if (!(Math.abs((double) value - exact) <= allowed)) {
                throw new IllegalStateException(what + " " + i + " after step " + steps + " is " + value
                        + ", the reference has " + exact);
            }
        }
    }

    @Override
    public void close() {
        operation.close();
        backend.close();
        arena.close();
    }
}
