package dev.isobit.harness.cases;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Steps of Adam and AdamW from zero moments, by PyTorch's names and rules, and those of others that differ in them. */
final class AdamOp implements CaseOp {
    private static final Set<String> ATTRS =
            Set.of("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize");

    /** A reading of Adam. */
    private record Rule(AdamSemantics semantics, boolean decoupled) {}

    private static final Map<String, Rule> RULES = Map.of("adam", new Rule(AdamSemantics.TORCH, false), "adamw",
            new Rule(AdamSemantics.TORCH, true), "adam_epshat", new Rule(AdamSemantics.KERAS, false), "adamw_epshat",
            new Rule(AdamSemantics.KERAS, true), "adamw_epshat_decay_after", new Rule(AdamSemantics.HF, true));

    @Override
    public Set<String> names() {
        return RULES.keySet();
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(ATTRS, Set.of("p0", "grads"), Set.of("p", "m", "v", "vmax"));
        CaseTensor start = asked.input("p0");
        CaseTensor gradients = asked.input("grads");
        if (gradients.shape().length == 0
                || !Arrays.equals(start.shape(), Arrays.copyOfRange(gradients.shape(), 1, gradients.shape().length))) {
            throw new IllegalArgumentException("grads " + CaseTensor.text(gradients.shape()) + " are no steps of p0 "
                    + CaseTensor.text(start.shape()));
        }
        AdamOptions options = options(asked);
        Tensor param = operands.put(start);
        Tensor grad = operands.allocate(param.dtype(), param.shape());
        long steps = gradients.shape()[0];
        Map<String, MemorySegment> traces = new TreeMap<>();
        try (var adam = Adam.on(operands.backend(), options, List.of(AdamParameter.of("p", param, grad)))) {
            for (long step = 0; step < steps; step++) {
                operands.put(gradients.bytes().asSlice(step * param.byteSize(), param.byteSize()), grad);
                adam.step();
                AdamParameter state = adam.parameters().getFirst();
                keep(traces, "p", state.param(), operands, step, steps);
                keep(traces, "m", state.expAvg(), operands, step, steps);
                keep(traces, "v", state.expAvgSq(), operands, step, steps);
                keep(traces, "vmax", state.maxExpAvgSq(), operands, step, steps);
            }
        }
        Map<String, CaseTensor> outputs = new TreeMap<>();
        traces.forEach((name, trace) -> outputs.put(name, asAsked(asked, name, trace, start, steps)));
        return outputs;
    }

    private static AdamOptions options(Case asked) {
        Rule rule = RULES.get(asked.op());
        AdamOptions torch = rule.decoupled ? AdamOptions.adamW() : AdamOptions.adam();
        double[] betas = asked.parse("betas", new double[] {torch.beta1(), torch.beta2()},
                text -> Arrays.stream(text.split(",")).mapToDouble(Double::parseDouble).toArray());
        if (betas.length != 2) {
            throw new IllegalArgumentException("betas are " + betas.length + " numbers");
        }
        return torch.withLr(asked.number("lr", torch.lr())).withBetas(betas[0], betas[1])
                .withEps(asked.number("eps", torch.eps()))
                .withWeightDecay(asked.number("weight_decay", torch.weightDecay())).withAmsgrad(asked.flag("amsgrad"))
                .withMaximize(asked.flag("maximize")).withSemantics(rule.semantics);
    }

    private static void keep(Map<String, MemorySegment> traces, String name, @Nullable Tensor now,
            Operands operands, long step, long steps) {
        if (now != null) {
            traces.computeIfAbsent(name, key -> Arena.ofAuto().allocate(steps * now.byteSize(), Long.BYTES))
                    .asSlice(step * now.byteSize(), now.byteSize()).copyFrom(operands.get(now).bytes());
        }
    }

    /** Every step, or the last alone, whichever the case tells of. */
    private static CaseTensor asAsked(Case asked, String name, MemorySegment trace, CaseTensor start, long steps) {
        long size = trace.byteSize() / steps;
        boolean lastOnly = Expectation.all(asked).stream()
                .anyMatch(expectation -> expectation.output().equals(name) && expectation.indices() == null
                        && expectation.values().elementCount() == start.elementCount());
        if (lastOnly) {
            return new CaseTensor(start.type(), start.shape(), trace.asSlice(trace.byteSize() - size, size));
        }
        long[] shape = new long[start.shape().length + 1];
        shape[0] = steps;
        System.arraycopy(start.shape(), 0, shape, 1, start.shape().length);
        return new CaseTensor(start.type(), shape, trace);
    }
}
