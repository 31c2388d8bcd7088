package dev.isobit.harness.cases;

import dev.isobit.DType;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Negative log-likelihood of class indices, from log-probabilities of [N, C, d1..dk]. */
final class NllLossOp implements CaseOp {
    private static final Set<String> ATTRS = Set.of("reduction", "ignore_index", "has_ignore_index", "class_axis");

    @Override
    public Set<String> names() {
        return Set.of("nll_loss");
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(ATTRS, Set.of("logp", "target", "weight", "gy"), Set.of("loss", "grad"));
        Case.require(asked.integer("class_axis", 1) == 1, "class_axis " + asked.attrs().get("class_axis"));
        Reduction reduction = asked.parse("reduction", Reduction.MEAN,
                name -> Reduction.valueOf(name.toUpperCase(Locale.ROOT)));
        boolean ignores = !asked.attrs().containsKey("has_ignore_index") || asked.flag("has_ignore_index");
        NllLossOptions options = NllLossOptions.defaults().withReduction(reduction);
        // No target is the least long: the one that is ignored where none is.
        options = options.withIgnoreIndex(
                ignores ? asked.integer("ignore_index", options.ignoreIndex()) : Long.MIN_VALUE);
        Tensor input = operands.put(asked.input("logp"));
        Tensor targets = operands.put(asked.input("target"));
        var all = NllLossOperands.of(input, targets);
        CaseTensor weight = asked.find("weight");
        all = weight == null ? all : all.withClassWeights(operands.putWide(weight));
        CaseTensor upstream = asked.find("gy");
        all = upstream == null ? all : all.withGradLoss(operands.putWide(upstream));
        boolean wide = input.dtype() == DType.F64;
        Tensor loss = operands.allocate(wide ? DType.F64 : DType.F32,
                reduction == Reduction.NONE ? targets.shape() : new long[0]);
        Tensor gradient = operands.allocate(input.dtype(), input.shape());
        try (NllLoss op = NllLoss.on(operands.backend(), options)) {
            op.lossAndGradient(all, loss, gradient);
        }
        return Map.of("loss", operands.get(loss), "grad", operands.get(gradient));
    }
}
