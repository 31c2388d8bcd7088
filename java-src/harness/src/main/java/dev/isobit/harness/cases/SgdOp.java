package dev.isobit.harness.cases;

import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Steps of SGD without momentum so far, by PyTorch's names and rules. */
final class SgdOp implements CaseOp {
    private static final Set<String> ATTRS =
            Set.of("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize");

    @Override
    public Set<String> names() {
        return Set.of("sgd");
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(ATTRS, Set.of("p0", "grads"), Set.of("p", "buf"));
        SgdOptions torch = SgdOptions.defaults();
        SgdOptions options = torch.withLr(asked.number("lr", torch.lr()))
                .withMomentum(asked.number("momentum", torch.momentum()))
                .withDampening(asked.number("dampening", torch.dampening()))
                .withWeightDecay(asked.number("weight_decay", torch.weightDecay()))
                .withNesterov(asked.flag("nesterov")).withMaximize(asked.flag("maximize"));
        Case.require(options.momentum() != 0 || !asked.expects("buf"), "output buf without momentum");
        var steps = new OptimizerSteps(asked, operands);
        try (var sgd = Sgd.on(operands.backend(), options,
                List.of(SgdParameter.of("p", steps.param(), steps.grad())))) {
            SgdParameter state = sgd.groups().getFirst().parameters().getFirst();
            while (steps.next()) {
                sgd.step();
                steps.keep("p", state.param());
                steps.keep("buf", state.momentumBuffer());
            }
        }
        return steps.outputs();
    }
}
