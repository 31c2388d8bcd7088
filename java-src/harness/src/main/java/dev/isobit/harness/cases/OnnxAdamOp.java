package dev.isobit.harness.cases;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** One step of ONNX's training operator Adam: X, its gradient G, and the moments V and H, whatever its T. */
final class OnnxAdamOp implements CaseOp {
    private static final Set<String> ATTRS =
            Set.of("alpha", "beta", "epsilon", "norm_coefficient", "norm_coefficient_post", "lr", "step_T");

    @Override
    public Set<String> names() {
        return Set.of("onnx_adam");
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(ATTRS, Set.of("x", "g", "v", "h"), Set.of("x_new", "v_new", "h_new"));
        double inside = asked.number("norm_coefficient", 0);
        double after = asked.number("norm_coefficient_post", 0);
        Case.require(inside == 0 || after == 0, "norm_coefficient and norm_coefficient_post together");
        AdamOptions torch = after == 0 ? AdamOptions.adam() : AdamOptions.adamW();
        AdamOptions options = torch.withSemantics(AdamSemantics.ONNX).withLr(asked.number("lr", 0))
                .withBetas(asked.number("alpha", 0.9), asked.number("beta", 0.999))
                .withEps(asked.number("epsilon", 1e-6f)).withWeightDecay(Math.max(inside, after));
        Tensor param = operands.put(asked.input("x"));
        Tensor expAvg = operands.put(asked.input("v"));
        Tensor expAvgSq = operands.put(asked.input("h"));
        var parameter = new AdamParameter("x", param, operands.put(asked.input("g")), expAvg, expAvgSq);
        try (var adam = Adam.on(operands.backend(), options, List.of(parameter))) {
            adam.setStepCount(asked.integer("step_T", 0));
            adam.step();
        }
        return Map.of("x_new", operands.get(param), "v_new", operands.get(expAvg), "h_new", operands.get(expAvgSq));
    }
}
