package dev.isobit.harness.cases;

import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Cross-entropy over class indices or probabilities of [N, C] or [N, C, d1, .., dk]. */
final class CrossEntropyOp implements CaseOp {
    private static final Set<String> ATTRS =
            Set.of("reduction", "ignore_index", "has_ignore_index", "label_smoothing", "class_axis");

    @Override
    public Set<String> names() {
        return Set.of("cross_entropy");
    }

    @Override
    public Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException {
        asked.requireOnly(ATTRS, Set.of("logits", "target", "target_prob", "weight", "sample_weight", "gy"),
                Set.of("loss", "grad", "log_prob"));
        CaseTensor logits = asked.input("logits");
        int rank = logits.shape().length;
        Case.require(rank >= 2, "logits of " + rank + " axes, not [N, C, ..]");
        long axis = asked.integer("class_axis", 1);
        axis = axis < 0 ? axis + rank : axis;
        Case.require(axis == 1 || axis == rank - 1, "class_axis " + asked.attrs().get("class_axis"));
        // Of classes that stand last, all axes before are rows.
        boolean last = axis != 1;
        CrossEntropyOptions options = options(asked);
        Tensor scores = operands.put(logits);
        CaseTensor probabilities = asked.find("target_prob");
        if (probabilities != null && asked.find("target") != null) {
            throw new IllegalArgumentException("there are target and target_prob");
        }
        Tensor targets = operands.put(probabilities == null ? asked.input("target") : probabilities);
        CaseTensor rowWeights = asked.find("sample_weight");
        Case.require(rowWeights == null || options.reduction() != Reduction.MEAN,
                "reduction mean with sample_weight, which frameworks divide by different numbers");
        boolean wide = scores.dtype() == DType.F64;
        Tensor loss = operands.allocate(wide ? DType.F64 : DType.F32,
                options.reduction() == Reduction.NONE ? rowShape(scores, (int) axis) : new long[0]);
        Tensor gradLogits = operands.allocate(scores.dtype(), scores.shape());
        CaseTensor upstream = asked.find("gy");
        CaseTensor weight = asked.find("weight");
        var all = CrossEntropyOperands.of(rows(scores, last, rank), rows(targets, last, rank));
        all = weight == null ? all : all.withClassWeights(operands.putWide(weight));
        all = rowWeights == null ? all : all.withWeights(rows(operands.putWide(rowWeights), last, rank));
        all = upstream == null ? all : all.withGradLoss(rows(operands.putWide(upstream), last, rank));
        Map<String, Tensor> results = new HashMap<>(Map.of("loss", loss, "grad", gradLogits));
        // Alone where it is expected: it takes another kernel.
        if (asked.expects("log_prob")) {
            results.put("log_prob", operands.allocate(loss.dtype(), scores.shape()));
            all = all.withLogProbabilities(rows(results.get("log_prob"), last, rank));
        }
        try (var crossEntropy = CrossEntropy.on(operands.backend(), options)) {
            crossEntropy.lossAndGradient(all, rows(loss, last, rank), rows(gradLogits, last, rank));
        }
        Map<String, CaseTensor> computed = new HashMap<>();
        results.forEach((name, tensor) -> computed.put(name, operands.get(tensor)));
        return computed;
    }

    /** The axes of rows as one, where classes stand last: of what has classes, all axes but one; else all of them. */
    private static Tensor rows(Tensor tensor, boolean last, int rank) {
        if (!last || tensor.rank() < rank - 1) {
            return tensor;
        }
        long rows = 1;
        for (int i = 0; i < rank - 1; i++) {
            rows *= tensor.size(i);
        }
        return tensor.rank() == rank
                ? Tensor.of(tensor.dtype(), tensor.memory(), tensor.byteOffset(), rows, tensor.size(rank - 1))
                : Tensor.of(tensor.dtype(), tensor.memory(), tensor.byteOffset(), rows);
    }

    private static CrossEntropyOptions options(Case asked) {
        Reduction reduction = asked.parse("reduction", Reduction.MEAN,
                name -> Reduction.valueOf(name.toUpperCase(Locale.ROOT)));
        boolean ignores = !asked.attrs().containsKey("has_ignore_index") || asked.flag("has_ignore_index");
        // No target is the least long: the one that is ignored where none is.
        long ignoreIndex = ignores
                ? asked.integer("ignore_index", CrossEntropyOptions.DEFAULT_IGNORE_INDEX)
                : Long.MIN_VALUE;
        return CrossEntropyOptions.defaults().withReduction(reduction).withIgnoreIndex(ignoreIndex)
                .withLabelSmoothing(asked.number("label_smoothing", 0));
    }

    private static long[] rowShape(Tensor logits, int classAxis) {
        long[] shape = new long[logits.rank() - 1];
        for (int axis = 0; axis < shape.length; axis++) {
            shape[axis] = logits.size(axis < classAxis ? axis : axis + 1);
        }
        return shape;
    }
}
