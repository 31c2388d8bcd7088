package dev.isobit.state;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

/** Two parameters under an optimizer, with gradients that depend on the step and the parameters alone. */
final class Run implements AutoCloseable {
    private static final long[][] SHAPES = {{3, 5}, {3}};

    private final Backend backend;
    private final List<AdamParameter> parameters = new ArrayList<>();
    private final Adam adam;

    Run(Backend backend, AdamOptions options) {
        this(backend, options, StepOptions.defaults());
    }

    Run(Backend backend, AdamOptions options, StepOptions step) {
        this(backend, options, step, "fc.weight", "fc.bias");
    }

    Run(Backend backend, AdamOptions options, String... names) {
        this(backend, options, StepOptions.defaults(), names);
    }

    private Run(Backend backend, AdamOptions options, StepOptions step, String... names) {
        this.backend = backend;
        for (int p = 0; p < names.length; p++) {
            Tensor param = backend.allocate(DType.F32, SHAPES[p]);
            put(param, i -> (float) Math.sin(i + 1));
            parameters.add(AdamParameter.of(names[p], param, backend.allocate(DType.F32, SHAPES[p])));
        }
        adam = Adam.on(backend, List.of(new AdamGroup(options, parameters)), step, backend.defaultStream());
    }

    /** An element by its index. */
    private interface Element {
        float at(int index);
    }

    Adam adam() {
        return adam;
    }

    void steps(int count) {
        for (int step = 0; step < count; step++) {
            float number = adam.stepCount() + 1;
            for (AdamParameter p : parameters) {
                float[] values = get(p.param());
                put(p.grad(), i -> values[i] * number + (i % 3 - 1));
            }
            adam.step();
        }
    }

    /** Everything that is loaded is something else before. */
    void scramble() {
        for (Tensor tensor : state()) {
            put(tensor, i -> Float.NaN);
        }
    }

    /** Parameters, first moments, second moments, their maxima. */
    private List<Tensor> state() {
        List<Tensor> state = new ArrayList<>();
        adam.parameters().forEach(p -> state.add(p.param()));
        adam.parameters().forEach(p -> state.add(p.expAvg()));
        adam.parameters().forEach(p -> state.add(p.expAvgSq()));
        adam.parameters().stream().map(AdamParameter::maxExpAvgSq).filter(Objects::nonNull).forEach(state::add);
        return state;
    }

    int[] bits() {
        return state().stream().map(this::get)
                .flatMapToInt(values -> IntStream.range(0, values.length).map(i -> Float.floatToRawIntBits(values[i])))
                .toArray();
    }

    private float[] get(Tensor tensor) {
        float[] values = new float[Math.toIntExact(tensor.elementCount())];
        backend.copy(tensor, Tensor.of(values, tensor.shape()));
        return values;
    }

    private void put(Tensor tensor, Element element) {
        float[] values = new float[Math.toIntExact(tensor.elementCount())];
        for (int i = 0; i < values.length; i++) {
            values[i] = element.at(i);
        }
        backend.copy(Tensor.of(values, tensor.shape()), tensor);
    }

    @Override
    public void close() {
        adam.close();
        parameters.forEach(p -> p.param().memory().close());
        parameters.forEach(p -> p.grad().memory().close());
    }
}
