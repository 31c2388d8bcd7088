package dev.isobit.harness.cases;

import dev.isobit.LogSoftmax;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Softmax and log-softmax, and their gradients. */
final class SoftmaxOp implements CaseOp {
    private static final String LOG = "log_softmax";

    @Override
    public Set<String> names() {
        return Set.of("softmax", LOG);
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(Set.of("axis", "coerce_2d"), Set.of("x", "gy"), Set.of("y", "gx"));
        CaseTensor x = asked.input("x");
        String axisText = asked.attrs().getOrDefault("axis", "-1");
        boolean coerce = asked.flag("coerce_2d");
        int rank = x.shape().length;
        int axis = axisText.equals("all") ? 0 : Math.toIntExact(asked.integer("axis", -1));
        boolean flattens = axisText.equals("all") || coerce;
        Tensor shaped = operands.put(x);
        Tensor logits = flattens ? flat(shaped, axis < 0 ? axis + rank : axis) : shaped;
        CaseTensor upstream = asked.find("gy");
        Tensor given = upstream != null
                ? operands.put(upstream)
                : asked.expects("gx") ? operands.ones(shaped.dtype(), shaped.shape()) : null;
        Tensor result = operands.allocate(shaped.dtype(), shaped.shape());
        Tensor gradient = operands.allocate(shaped.dtype(), shaped.shape());
        call(asked.op().equals(LOG), operands, flattens ? -1 : axis, logits, as(result, logits), null);
        Map<String, CaseTensor> results = new LinkedHashMap<>(Map.of("y", operands.get(result)));
        if (given != null) {
            call(asked.op().equals(LOG), operands, flattens ? -1 : axis, as(result, logits), as(gradient, logits),
                    as(given, logits));
            results.put("gx", operands.get(gradient));
        }
        return results;
    }

    /** All axes before one as rows, that one and all behind it as classes. */
    private static Tensor flat(Tensor tensor, int axis) {
        long rows = 1;
        long classes = 1;
        for (int i = 0; i < tensor.rank(); i++) {
            rows *= i < axis ? tensor.size(i) : 1;
            classes *= i < axis ? 1 : tensor.size(i);
        }
        return Tensor.of(tensor.dtype(), tensor.memory(), tensor.byteOffset(), rows, classes);
    }

    private static Tensor as(Tensor tensor, Tensor shaped) {
        return Tensor.of(tensor.dtype(), tensor.memory(), tensor.byteOffset(), shaped.shape());
    }

    private static void call(boolean logarithm, Operands operands, int axis, Tensor input, Tensor result,
            @Nullable Tensor upstream) {
        var options = SoftmaxOptions.defaults().withAxis(axis);
        try (Softmax softmax = Softmax.on(operands.backend(), options);
                LogSoftmax log = LogSoftmax.on(operands.backend(), options)) {
            if (upstream == null) {
                if (logarithm) {
                    log.logProbabilities(input, result);
                } else {
                    softmax.probabilities(input, result);
                }
            } else if (logarithm) {
                log.gradient(input, upstream, result);
            } else {
                softmax.gradient(input, upstream, result);
            }
        }
    }
}
