package dev.isobit.harness.cases;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;

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
        var traces = new Traces(asked, operands);
        AdamOptions options = options(asked);
        Tensor param = traces.param();
        Tensor grad = operands.allocate(param.dtype(), param.shape());
        try (var adam = Adam.on(operands.backend(), options, List.of(AdamParameter.of("p", param, grad)))) {
            for (long step = 0; step < traces.steps(); step++) {
                traces.putGradient(step, grad);
                adam.step();
                AdamParameter state = adam.parameters().getFirst();
                traces.keep("p", state.param(), step);
                traces.keep("m", state.expAvg(), step);
                traces.keep("v", state.expAvgSq(), step);
                traces.keep("vmax", state.maxExpAvgSq(), step);
            }
        }
        return traces.outputs();
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
}
