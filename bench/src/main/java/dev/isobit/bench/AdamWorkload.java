package dev.isobit.bench;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A step of AdamW over some tensors of one size, which lie side by side; gradients are of the parameters' type. Clipped, they are those of
 * a loss times {@link #LOSS_SCALE}, which the step takes out; it is skipped where they are not finite, and their norm is brought to {@link #MAX_NORM}.
 */
final class AdamWorkload extends Workload {
    private static final AdamOptions OPTIONS = AdamOptions.adamW();
    static final String CLIPPED = "adamw-clipped";
    /** The name of a {@link #bareStep}. */
    static final String BARE = "bare step";
    private static final float LOSS_SCALE = 65536;
    private static final double MAX_NORM = 1;
    private static final StepOptions CLIPPING =
            StepOptions.defaults().withMaxNorm(MAX_NORM).withGradScaling(GradScaling.constant(LOSS_SCALE));
    private static final float TINY = 1e-12f;
    /** The step that is compared is in the middle of a run: both bias corrections are neither 0 nor 1. */
    private static final long STEPS_BEFORE = 10;

    private final long tensors;
    private final long size;
    private final DType moments;
    private final boolean clipped;
    private final List<AdamParameter> parameters;
    private final Adam operation;
    private @Nullable Adam bare;

    AdamWorkload(BenchCase what, Inputs inputs, DType moments, boolean clipped, Backend backend) {
        super(what, inputs, false, backend);
        this.moments = moments;
        this.clipped = clipped;
        tensors = what.shape().get(0);
        size = what.shape().get(1);
        Tensor param = operand("param", what.dtype(), what.elements());
        Tensor grad = operand("grad", what.dtype(), what.elements());
        Tensor expAvg = operand("expAvg", moments, what.elements());
        Tensor expAvgSq = operand("expAvgSq", moments, what.elements());
        parameters = parametersOf(param, grad, expAvg, expAvgSq);
        operation = optimizer(backend, parameters, clipped);
    }

    private static Adam optimizer(Backend on, List<AdamParameter> parameters, boolean clipped) {
        return Adam.on(on, List.of(new AdamGroup(OPTIONS, parameters)), clipped ? CLIPPING : StepOptions.defaults(),
                on.defaultStream());
    }

    private List<AdamParameter> parametersOf(Tensor param, Tensor grad, Tensor expAvg, Tensor expAvgSq) {
        List<AdamParameter> list = new ArrayList<>();
        for (long i = 0; i < tensors; i++) {
            list.add(new AdamParameter("t" + i, slice(param, i), slice(grad, i), slice(expAvg, i),
                    slice(expAvgSq, i)));
        }
        return list;
    }

    private Tensor slice(Tensor all, long i) {
        return Tensor.of(all.dtype(), all.memory(), all.byteOffset() + all.dtype().byteSize() * size * i, size);
    }

    /** Four numbers are read and three written for each parameter; for their norm, gradients are read once more. */
    @Override
    long bytes() {
        return bytes(clipped);
    }

    private long bytes(boolean clips) {
        return ((clips ? 4L : 3L) * what.dtype().byteSize() + 4L * moments.byteSize()) * what.elements();
    }

    boolean isClipped() {
        return clipped;
    }

    /** The update alone, of the same operands: what clipping and all that comes with it is held against. */
    Side bareStep() {
        if (bare == null) {
            bare = optimizer(backend, parameters, false);
        }
        return new Side(BARE, bytes(false), what.elements(), bare::step);
    }

    @Override
    void run() {
        operation.step();
    }

    @Override
    void fill(Rng rng) {
        float scale = inputs == Inputs.TINY_GRADIENTS ? TINY : 1;
        uniform(hostTensor("param"), rng, 0, 1);
        uniform(hostTensor("grad"), rng, 0, clipped ? scale * LOSS_SCALE : scale);
        uniform(hostTensor("expAvg"), rng, 0, 0.1f * scale);
        uniform(hostTensor("expAvgSq"), rng, 0.005f * scale * scale, 0.01f * scale * scale);
        operation.setStepCount(STEPS_BEFORE);
    }

    @Override
    List<String> outputs() {
        return List.of("param", "expAvg", "expAvgSq");
    }

    @Override
    double addend(String output) {
        double scale = inputs == Inputs.TINY_GRADIENTS ? TINY : 1;
        return switch (output) {
            case "expAvg" -> 0.05 * scale;
            case "expAvgSq" -> 0;
            default -> 2 * OPTIONS.lr();
        };
    }

    @Override
    Map<String, MemorySegment> reference(Backend reference, Arena arena) {
        Map<String, MemorySegment> exact = new LinkedHashMap<>();
        for (String name : List.of("param", "grad", "expAvg", "expAvgSq")) {
            exact.put(name, toDouble(hostTensor(name), arena));
        }
        Tensor[] all = exact.values().stream().map(values -> Tensor.of(DType.F64, values, what.elements()))
                .toArray(Tensor[]::new);
        try (var op = optimizer(reference, parametersOf(all[0], all[1], all[2], all[3]), clipped)) {
            op.setStepCount(STEPS_BEFORE);
            op.step();
        }
        return exact;
    }

    @Override
    Peer.Problem problem() {
        return new Peer.Problem(what.operation(), what.dtype(), false, what.shape(), what.threads(),
                hosts("param", "grad", "expAvg", "expAvgSq"),
                Map.of("lr", OPTIONS.lr(), "beta1", OPTIONS.beta1(), "beta2", OPTIONS.beta2(), "eps", OPTIONS.eps(),
                        "weightDecay", OPTIONS.weightDecay(), "step", STEPS_BEFORE + 1.0, "gradScale",
                        (double) LOSS_SCALE, "maxNorm", MAX_NORM));
    }

    @Override
    public void close() {
        operation.close();
        if (bare != null) {
            bare.close();
        }
        super.close();
    }
}
