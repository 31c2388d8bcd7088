package dev.isobit.harness.cases;

import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** One step of ONNX's training operator Momentum: X, its gradient G, and the momentum V, whatever its T. */
final class OnnxMomentumOp implements CaseOp {
    private static final Set<String> ATTRS =
            Set.of("alpha", "beta", "mode", "norm_coefficient", "lr", "step_T");

    @Override
    public Set<String> names() {
        return Set.of("onnx_momentum");
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(ATTRS, Set.of("x", "g", "v"), Set.of("x_new", "v_new"));
        boolean nesterov = asked.parse("mode", false, mode -> switch (mode) {
            case "standard" -> false;
            case "nesterov" -> true;
            default -> throw new IllegalArgumentException("neither standard nor nesterov");
        });
        double alpha = asked.number("alpha", 0);
        // The gradient's share is beta, but in the first step all of it.
        double share = asked.integer("step_T", 0) == 0 ? 1 : asked.number("beta", 1);
        Case.require(alpha != 0, "alpha 0");
        Case.require(!nesterov || share == 1, "mode nesterov with beta " + share);
        SgdOptions options = SgdOptions.defaults().withLr(asked.number("lr", 0)).withMomentum(alpha)
                .withDampening(1 - share).withNesterov(nesterov)
                .withWeightDecay(asked.number("norm_coefficient", 0));
        Tensor param = operands.put(asked.input("x"));
        Tensor buffer = operands.put(asked.input("v"));
        var parameter = new SgdParameter("x", param, operands.put(asked.input("g")), buffer);
        try (var sgd = Sgd.on(operands.backend(), options, List.of(parameter))) {
            sgd.setStepCount(1); // PyTorch's first step would begin the momentum anew
            sgd.step();
        }
        return Map.of("x_new", operands.get(param), "v_new", operands.get(buffer));
    }
}
