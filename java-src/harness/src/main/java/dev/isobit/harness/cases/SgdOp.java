package dev.isobit.harness.cases;

import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Steps of SGD without a momentum buffer at first, by PyTorch's names and rules. */
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
        var traces = new Traces(asked, operands);
        SgdOptions torch = SgdOptions.defaults();
        SgdOptions options = torch.withLr(asked.number("lr", torch.lr())).withMomentum(asked.number("momentum", 0))
                .withDampening(asked.number("dampening", 0)).withWeightDecay(asked.number("weight_decay", 0))
                .withNesterov(asked.flag("nesterov")).withMaximize(asked.flag("maximize"));
        Tensor param = traces.param();
        Tensor grad = operands.allocate(param.dtype(), param.shape());
        try (var sgd = Sgd.on(operands.backend(), options, List.of(SgdParameter.of("p", param, grad)))) {
            for (long step = 0; step < traces.steps(); step++) {
                traces.putGradient(step, grad);
                sgd.step();
                SgdParameter state = sgd.groups().getFirst().parameters().getFirst();
                traces.keep("p", state.param(), step);
                traces.keep("buf", state.momentumBuffer(), step);
            }
        }
        return traces.outputs();
    }
}
