package dev.isobit.harness.cases;

import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Binary cross-entropy with logits of any shape; weights broadcast. */
final class BceWithLogitsOp implements CaseOp {
    @Override
    public Set<String> names() {
        return Set.of("bce_with_logits");
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(Set.of("reduction", "label_smoothing"),
                Set.of("logits", "target", "weight", "pos_weight", "gy"), Set.of("loss", "grad"));
        Reduction reduction = asked.parse("reduction", Reduction.MEAN,
                name -> Reduction.valueOf(name.toUpperCase(Locale.ROOT)));
        var options = BceWithLogitsOptions.defaults().withReduction(reduction)
                .withLabelSmoothing(asked.number("label_smoothing", 0));
        Tensor logits = operands.put(asked.input("logits"));
        var all = BceWithLogitsOperands.of(logits, operands.put(asked.input("target")));
        CaseTensor weight = asked.find("weight");
        all = weight == null ? all : all.withWeights(operands.putWide(weight));
        CaseTensor posWeight = asked.find("pos_weight");
        all = posWeight == null ? all : all.withPosWeight(operands.putWide(posWeight));
        CaseTensor upstream = asked.find("gy");
        all = upstream == null ? all : all.withGradLoss(operands.putWide(upstream));
        Tensor loss = operands.allocate(logits.dtype() == DType.F64 ? DType.F64 : DType.F32,
                reduction == Reduction.NONE ? logits.shape() : new long[0]);
        Tensor gradient = operands.allocate(logits.dtype(), logits.shape());
        try (BceWithLogits op = BceWithLogits.on(operands.backend(), options)) {
            op.lossAndGradient(all, loss, gradient);
        }
        return Map.of("loss", operands.get(loss), "grad", operands.get(gradient));
    }
}
