package dev.isobit;

import dev.isobit.spi.Broadcast;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Looks for the mistakes that everybody makes once with loss functions, in a sample of the operands. For the first steps
 * of a run, or for a test: it costs far more than the loss itself, and no operation calls it.
 *
 * <p>What it finds is returned, and logged as warnings to the {@link System.Logger} {@code isobit}. It judges by what the
 * numbers look like: a finding is a question, and no finding is no proof.
 *
 * <p>Tensors lie in host memory; of more than {@value #SAMPLED_ROWS} rows as many are looked at, evenly spread, and fewer
 * of long ones. Thread-safe: no state. Errors: {@link IllegalArgumentException} for shapes that do not fit or device
 * memory.
 */
public final class ClassicMistakes {
    /** Rows that are looked at, at most. */
    static final int SAMPLED_ROWS = 256;
    /** Elements that are looked at, at most, but for one row. */
    private static final long SAMPLED_ELEMENTS = 1 << 20;
    /** How far a sum of probabilities may be off: BF16 has 8 bits. */
    private static final double SUM_TOLERANCE = 0.02;
    /** Fewer elements or rows than this look like anything. */
    private static final int FEWEST = 8;
    /** By what factor posWeight may differ from the ratio of the data. */
    private static final double FAR = 4;
    private static final System.Logger LOG = System.getLogger("isobit");

    /** The mistakes, by name. */
    public enum Mistake {
        /** Rows of logits are non-negative and add up to one: softmax is applied before, and again. */
        PROBABILITIES_AS_LOGITS,
        /** Logits of binary cross-entropy all lie in [0, 1]: sigmoid is applied before, and again. */
        SIGMOID_APPLIED_TWICE,
        /** What should be probabilities lies outside [0, 1]. */
        LOGITS_AS_PROBABILITIES,
        /** What should be log-probabilities is positive, or its exponentials do not add up to one. */
        NOT_LOG_PROBABILITIES,
        /** Rows of class probabilities do not add up to one. */
        TARGETS_DO_NOT_SUM_TO_ONE,
        /** Rows of targets have several ones: many labels for one row, which binary cross-entropy is for. */
        MULTI_LABEL_TARGETS,
        /** Every row of binary targets has exactly one one: one label of many, which cross-entropy is for. */
        ONE_HOT_TARGETS,
        /** posWeight is far from negatives over positives in the data. */
        POS_WEIGHT_FAR_FROM_DATA,
        /** Every target is ignored: there is nothing to learn, and a mean is NaN. */
        ALL_TARGETS_IGNORED
    }

    /**
     * Something that looks like a mistake.
     *
     * @param mistake which
     * @param evidence the numbers that it is judged by
     */
    public record Finding(Mistake mistake, String evidence) {
        @Override
        public String toString() {
            return mistake + ": " + evidence;
        }
    }

    /**
     * Rows of classes: of the last axis, or of axis 1 with places of further axes behind it.
     *
     * @param tensor whose
     * @param classes elements of a row
     * @param inner how far these are apart
     */
    private record Rows(Tensor tensor, long classes, long inner) {
        /** Of the last axis. */
        static Rows last(Tensor tensor) {
            return new Rows(tensor, tensor.rank() == 0 ? 1 : tensor.size(tensor.rank() - 1), 1);
        }

        /** Of axis 1. */
        static Rows second(Tensor tensor) {
            long inner = 1;
            for (int axis = 2; axis < tensor.rank(); axis++) {
                inner *= tensor.size(axis);
            }
            return new Rows(tensor, tensor.size(1), inner);
        }

        long index(long row, long k) {
            return (row / inner * classes + k) * inner + row % inner;
        }

        double get(long row, long k) {
            return tensor.get(index(row, k));
        }

        /** The rows that are looked at. */
        long[] sample() {
            long rows = classes == 0 ? 0 : tensor.elementCount() / classes;
            long count = Math.min(rows, Math.clamp(SAMPLED_ELEMENTS / Math.max(1, classes), 1, SAMPLED_ROWS));
            long[] sample = new long[(int) count];
            for (int i = 0; i < sample.length; i++) {
                // Evenly spread, without an overflow.
                sample[i] = rows / count * i + rows % count * i / count;
            }
            return sample;
        }
    }

    private final String operation;
    private final List<Finding> findings = new ArrayList<>();

    private ClassicMistakes(String operation) {
        this.operation = operation;
    }

    /**
     * Looks at operands of {@link CrossEntropy} with class indices.
     *
     * @param logits [N, C] or [N, C, d1, .., dk]
     * @param targets [N] or [N, d1, .., dk]
     * @param ignoreIndex the target value that is skipped
     * @return what was found
     */
    public static List<Finding> crossEntropy(Tensor logits, Tensor targets, long ignoreIndex) {
        var check = new ClassicMistakes("CrossEntropy");
        check.rows("logits", logits);
        check.perRow("targets", targets, logits);
        check.logits(Rows.second(logits));
        check.ignored(targets, ignoreIndex);
        return check.done();
    }

    /**
     * Looks at operands of cross-entropy with class probabilities.
     *
     * @param logits [N, C] or [N, C, d1, .., dk]
     * @param targets the shape of the logits
     * @return what was found
     */
    public static List<Finding> crossEntropyWithProbabilities(Tensor logits, Tensor targets) {
        var check = new ClassicMistakes("CrossEntropy");
        check.rows("logits", logits);
        check.sameShape("targets", targets, logits);
        check.logits(Rows.second(logits));
        check.probabilities(Rows.second(targets));
        return check.done();
    }

    /**
     * Looks at operands of {@link NllLoss}.
     *
     * @param logProbabilities [N, C] or [N, C, d1, .., dk]
     * @param targets [N] or [N, d1, .., dk]
     * @param ignoreIndex the target value that is skipped
     * @return what was found
     */
    public static List<Finding> nllLoss(Tensor logProbabilities, Tensor targets, long ignoreIndex) {
        var check = new ClassicMistakes("NllLoss");
        check.rows("logProbabilities", logProbabilities);
        check.perRow("targets", targets, logProbabilities);
        check.logProbabilities(Rows.second(logProbabilities));
        check.ignored(targets, ignoreIndex);
        return check.done();
    }

    /**
     * Looks at operands of {@link BceWithLogits}, nothing of which is ignored.
     *
     * @param logits any shape
     * @param targets the shape of the logits
     * @param posWeight broadcast against the logits; null for none
     * @return what was found
     */
    public static List<Finding> bceWithLogits(Tensor logits, Tensor targets, @Nullable Tensor posWeight) {
        var operands = BceWithLogitsOperands.of(logits, targets);
        return bceWithLogits(posWeight == null ? operands : operands.withPosWeight(posWeight),
                BceWithLogitsOptions.defaults());
    }

    /**
     * Looks at operands of {@link BceWithLogits}, as it takes them: targets of any kind, weights and mask that broadcast.
     * What is ignored, by mask or by value, is not looked at.
     *
     * @param operands logits, targets, posWeight and mask; the others are not looked at
     * @param options of which {@code ignoreValue} is looked at
     * @return what was found
     */
    public static List<Finding> bceWithLogits(BceWithLogitsOperands operands, BceWithLogitsOptions options) {
        var check = new ClassicMistakes("BceWithLogits");
        Tensor logits = operands.logits();
        check.host("logits", logits);
        if (operands.targetBits()) {
            check.require(operands.targets().elementCount() == Math.ceilDiv(logits.elementCount(), 8), "targets",
                    operands.targets());
        } else {
            check.sameShape("targets", operands.targets(), logits);
        }
        var elements = new Elements(operands, options, check.broadcast("mask", operands.mask(), logits));
        Rows rows = Rows.last(logits);
        check.allIgnored(elements, logits.elementCount());
        check.sigmoidTwice(rows, elements);
        check.oneHot(rows, elements);
        if (operands.posWeight() != null) {
            check.posWeight(rows, elements, operands.posWeight(),
                    check.broadcast("posWeight", operands.posWeight(), logits));
        }
        return check.done();
    }

    /** Binary targets by flat index. */
    private record Elements(BceWithLogitsOperands operands, BceWithLogitsOptions options, Broadcast mask) {
        double target(long i) {
            Tensor targets = operands.targets();
            return operands.targetBits() ? (long) targets.get(i / 8) >> (i % 8) & 1 : targets.get(i);
        }

        boolean isIgnored(long i) {
            return options.ignores() && (float) target(i) == (float) options.ignoreValue()
                    || operands.mask() != null && operands.mask().get(mask.index(i)) == 0;
        }
    }

    private Broadcast broadcast(String name, @Nullable Tensor operand, Tensor logits) {
        var broadcast = new Broadcast();
        if (operand != null) {
            require(broadcast.set(logits, operand), name, operand);
        }
        return broadcast;
    }

    private List<Finding> done() {
        for (Finding finding : findings) {
            LOG.log(System.Logger.Level.WARNING, "{0}: {1}", operation, finding);
        }
        return List.copyOf(findings);
    }

    private void add(Mistake mistake, String evidence, Object... values) {
        findings.add(new Finding(mistake, String.format(Locale.ROOT, evidence, values)));
    }

    private void require(boolean condition, String name, Tensor tensor) {
        if (!condition) {
            throw new IllegalArgumentException("ClassicMistakes: " + name + " " + tensor + " has a shape that "
                    + operation + " does not take");
        }
        host(name, tensor);
    }

    private void host(String name, Tensor tensor) {
        if (!(Objects.requireNonNull(tensor, name).memory() instanceof HostMemory)) {
            throw new IllegalArgumentException("ClassicMistakes: " + name + " " + tensor
                    + " does not lie in host memory; copy it with Backend.copy");
        }
    }

    private void rows(String name, Tensor tensor) {
        require(tensor.rank() >= 2, name, tensor);
    }

    /** The shape without axis 1. */
    private void perRow(String name, Tensor tensor, Tensor of) {
        boolean fits = tensor.rank() == of.rank() - 1;
        for (int i = 0; fits && i < tensor.rank(); i++) {
            fits = tensor.size(i) == of.size(i == 0 ? 0 : i + 1);
        }
        require(fits, name, tensor);
    }

    private void sameShape(String name, Tensor tensor, Tensor as) {
        boolean fits = tensor.rank() == as.rank();
        for (int i = 0; fits && i < as.rank(); i++) {
            fits = tensor.size(i) == as.size(i);
        }
        require(fits, name, tensor);
    }

    private void logits(Rows logits) {
        long classes = logits.classes;
        long[] sample = logits.sample();
        int rows = 0;
        for (long row : sample) {
            double sum = 0;
            boolean inRange = true;
            for (long k = 0; k < classes; k++) {
                double z = logits.get(row, k);
                inRange &= z >= 0;
                sum += z;
            }
            rows += inRange && Math.abs(sum - 1) <= SUM_TOLERANCE ? 1 : 0;
        }
        if (classes > 1 && sample.length > 0 && rows == sample.length) {
            add(Mistake.PROBABILITIES_AS_LOGITS,
                    "all of %d sampled rows of logits are non-negative and add up to 1; pass scores without softmax",
                    rows);
        }
    }

    private void ignored(Tensor targets, long ignoreIndex) {
        for (long i = 0; i < targets.elementCount(); i++) {
            if ((long) targets.get(i) != ignoreIndex) {
                return;
            }
        }
        if (targets.elementCount() > 0) {
            add(Mistake.ALL_TARGETS_IGNORED, "all %d targets are the ignore index %d", targets.elementCount(),
                    ignoreIndex);
        }
    }

    private void probabilities(Rows targets) {
        long classes = targets.classes;
        long[] sample = targets.sample();
        int outside = 0;
        int unlike = 0;
        int several = 0;
        double example = 0;
        double sumExample = 0;
        for (long row : sample) {
            double sum = 0;
            int ones = 0;
            boolean binary = true;
            boolean inRange = true;
            for (long k = 0; k < classes; k++) {
                double t = targets.get(row, k);
                boolean fits = t >= 0 && t <= 1 + SUM_TOLERANCE;
                example = fits ? example : t;
                inRange &= fits;
                binary &= t == 0 || t == 1;
                ones += t == 1 ? 1 : 0;
                sum += t;
            }
            outside += inRange ? 0 : 1;
            several += binary && ones > 1 ? 1 : 0;
            if (!(Math.abs(sum - 1) <= SUM_TOLERANCE)) {
                unlike++;
                sumExample = sum;
            }
        }
        if (outside > 0) {
            add(Mistake.LOGITS_AS_PROBABILITIES, "%d of %d sampled rows of targets have values outside [0, 1], as %s",
                    outside, sample.length, example);
        } else if (several > 0) {
            add(Mistake.MULTI_LABEL_TARGETS,
                    "%d of %d sampled rows of targets are zeros and several ones; BceWithLogits takes many labels a row",
                    several, sample.length);
        } else if (unlike > 0) {
            add(Mistake.TARGETS_DO_NOT_SUM_TO_ONE, "%d of %d sampled rows of targets do not add up to 1, one to %s",
                    unlike, sample.length, sumExample);
        }
    }

    private void logProbabilities(Rows logProbabilities) {
        long classes = logProbabilities.classes;
        long[] sample = logProbabilities.sample();
        int unlike = 0;
        double sumExample = 0;
        for (long row : sample) {
            double sum = 0;
            for (long k = 0; k < classes; k++) {
                sum += Math.exp(logProbabilities.get(row, k));
            }
            if (!Double.isNaN(sum) && !(Math.abs(sum - 1) <= SUM_TOLERANCE)) {
                unlike++;
                sumExample = sum;
            }
        }
        if (unlike > 0) {
            add(Mistake.NOT_LOG_PROBABILITIES,
                    "the exponentials of %d of %d sampled rows do not add up to 1, of one to %s; LogSoftmax makes them,"
                            + " or CrossEntropy takes the logits",
                    unlike, sample.length, sumExample);
        }
    }

    private void allIgnored(Elements elements, long count) {
        if (!elements.options.ignores() && elements.operands.mask() == null) {
            return;
        }
        for (long i = 0; i < count; i++) {
            if (!elements.isIgnored(i)) {
                return;
            }
        }
        if (count > 0) {
            add(Mistake.ALL_TARGETS_IGNORED, "all %d targets are ignored, by the mask or as ignoreValue %s", count,
                    elements.options.ignoreValue());
        }
    }

    private void sigmoidTwice(Rows logits, Elements elements) {
        long count = 0;
        double least = Double.POSITIVE_INFINITY;
        double most = Double.NEGATIVE_INFINITY;
        for (long row : logits.sample()) {
            for (long k = 0; k < logits.classes; k++) {
                if (elements.isIgnored(logits.index(row, k))) {
                    continue;
                }
                double x = logits.get(row, k);
                least = Math.min(least, x);
                most = Math.max(most, x);
                count++;
            }
        }
        if (count >= FEWEST && least >= 0 && most <= 1 && least < most) {
            add(Mistake.SIGMOID_APPLIED_TWICE,
                    "all %d sampled logits lie in [0, 1], from %s to %s; pass scores without sigmoid", count, least,
                    most);
        }
    }

    /** A row of which something is ignored tells nothing. */
    private void oneHot(Rows rows, Elements elements) {
        if (rows.tensor.rank() < 2 || rows.classes < 3) {
            return;
        }
        int whole = 0;
        for (long row : rows.sample()) {
            int ones = 0;
            boolean ignored = false;
            for (long k = 0; k < rows.classes; k++) {
                long i = rows.index(row, k);
                double t = elements.target(i);
                ignored |= elements.isIgnored(i);
                if (t != 0 && t != 1 && !elements.isIgnored(i)) {
                    return;
                }
                ones += t == 1 ? 1 : 0;
            }
            if (!ignored && ones != 1) {
                return;
            }
            whole += ignored ? 0 : 1;
        }
        if (whole >= FEWEST) {
            add(Mistake.ONE_HOT_TARGETS,
                    "each of %d sampled rows of targets has exactly one 1 among %d; if classes exclude each other,"
                            + " CrossEntropy with class indices is meant",
                    whole, rows.classes);
        }
    }

    /** For each weight, over the elements that it weighs. */
    private void posWeight(Rows rows, Elements elements, Tensor posWeight, Broadcast broadcast) {
        Map<Long, double[]> counts = new TreeMap<>();
        for (long row : rows.sample()) {
            for (long k = 0; k < rows.classes; k++) {
                long i = rows.index(row, k);
                if (!elements.isIgnored(i)) {
                    double[] count = counts.computeIfAbsent(broadcast.index(i), at -> new double[2]);
                    count[0] += elements.target(i);
                    count[1]++;
                }
            }
        }
        int far = 0;
        long first = -1;
        double firstRatio = 0;
        for (Map.Entry<Long, double[]> each : counts.entrySet()) {
            double positives = each.getValue()[0];
            double negatives = each.getValue()[1] - positives;
            double ratio = negatives / positives;
            double weight = posWeight.get(each.getKey());
            // Of few positives the ratio is a guess.
            boolean known = positives >= FEWEST && negatives >= FEWEST;
            if (known && !(weight <= FAR * ratio && weight >= ratio / FAR)) {
                firstRatio = far == 0 ? ratio : firstRatio;
                first = far == 0 ? each.getKey() : first;
                far++;
            }
        }
        if (far > 0) {
            add(Mistake.POS_WEIGHT_FAR_FROM_DATA,
                    "posWeight%s is %s, but the sampled targets have %.3g negatives for a positive%s",
                    posWeight.elementCount() == 1 ? "" : "[" + first + "]", posWeight.get(first), firstRatio, far > 1
                            ? "; so have " + (far - 1) + " more"
                            : "");
        }
    }
}
