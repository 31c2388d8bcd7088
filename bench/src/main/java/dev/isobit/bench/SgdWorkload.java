package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A step of SGD with momentum and weight decay over some tensors of one size, which lie side by side. */
final class SgdWorkload extends Workload {
    private static final SgdOptions OPTIONS =
            SgdOptions.defaults().withLr(0.01).withMomentum(0.9).withWeightDecay(1e-4);
    private static final float TINY = 1e-12f;
    /** Not the first step: that one has no momentum buffer to read. */
    private static final long STEPS_BEFORE = 10;

    private final long tensors;
    private final long size;
    private final Sgd operation;

    SgdWorkload(BenchCase what, Inputs inputs, Backend backend) {
        super(what, inputs, false, backend);
        tensors = what.shape().get(0);
        size = what.shape().get(1);
        Tensor param = operand("param", what.dtype(), what.elements());
        Tensor grad = operand("grad", what.dtype(), what.elements());
        Tensor momentumBuffer = operand("momentumBuffer", what.dtype(), what.elements());
        operation = Sgd.on(backend, OPTIONS, parameters(param, grad, momentumBuffer));
    }

    private List<SgdParameter> parameters(Tensor param, Tensor grad, Tensor momentumBuffer) {
        List<SgdParameter> list = new ArrayList<>();
        for (long i = 0; i < tensors; i++) {
            list.add(new SgdParameter("t" + i, slice(param, i), slice(grad, i), slice(momentumBuffer, i)));
        }
        return list;
    }

    private Tensor slice(Tensor all, long i) {
        return Tensor.of(all.dtype(), all.memory(), all.byteOffset() + all.dtype().byteSize() * size * i, size);
    }

    /** Three numbers are read and two written for each parameter. */
    @Override
    long bytes() {
        return 5L * what.dtype().byteSize() * what.elements();
    }

    @Override
    void run() {
        operation.step();
    }

    @Override
    void fill(Rng rng) {
        float scale = inputs == Inputs.TINY_GRADIENTS ? TINY : 1;
        uniform(hostTensor("param"), rng, 0, 1);
        uniform(hostTensor("grad"), rng, 0, scale);
        uniform(hostTensor("momentumBuffer"), rng, 0, scale);
        operation.setStepCount(STEPS_BEFORE);
    }

    @Override
    List<String> outputs() {
        return List.of("param", "momentumBuffer");
    }

    @Override
    double addend(String output) {
        // Weight decay adds a parameter's share to its gradient.
        double gradient = 0.5 * Math.max(inputs == Inputs.TINY_GRADIENTS ? TINY : 1, OPTIONS.weightDecay());
        return output.equals("param") ? 2 * OPTIONS.lr() * gradient : gradient;
    }

    @Override
    Map<String, MemorySegment> reference(Backend reference, Arena arena) {
        Map<String, MemorySegment> exact = new LinkedHashMap<>();
        for (String name : List.of("param", "grad", "momentumBuffer")) {
            exact.put(name, toDouble(hostTensor(name), arena));
        }
        Tensor[] all = exact.values().stream().map(values -> Tensor.of(DType.F64, values, what.elements()))
                .toArray(Tensor[]::new);
        try (var op = Sgd.on(reference, OPTIONS, parameters(all[0], all[1], all[2]))) {
            op.setStepCount(STEPS_BEFORE);
            op.step();
        }
        return exact;
    }

    @Override
    Peer.Problem problem() {
        return new Peer.Problem(what.operation(), what.dtype(), false, what.shape(), what.threads(),
                hosts("param", "grad", "momentumBuffer"),
                Map.of("lr", OPTIONS.lr(), "momentum", OPTIONS.momentum(), "weightDecay", OPTIONS.weightDecay(),
                        "step", STEPS_BEFORE + 1.0));
    }

    @Override
    public void close() {
        operation.close();
        super.close();
    }
}
