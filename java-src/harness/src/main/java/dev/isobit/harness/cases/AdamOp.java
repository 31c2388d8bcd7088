package dev.isobit.harness.cases;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
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
        AdamOptions options = options(asked);
        Case.require(options.amsgrad() || !asked.expects("vmax"), "output vmax without amsgrad");
        var steps = new OptimizerSteps(asked, operands);
        try (var adam = Adam.on(operands.backend(), options,
                List.of(AdamParameter.of("p", steps.param(), steps.grad())))) {
            AdamParameter state = adam.parameters().getFirst();
            while (steps.next()) {
                adam.step();
                steps.keep("p", state.param());
                steps.keep("m", state.expAvg());
                steps.keep("v", state.expAvgSq());
                steps.keep("vmax", state.maxExpAvgSq());
            }
        }
        return steps.outputs();
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
