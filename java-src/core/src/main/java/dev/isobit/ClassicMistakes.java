package dev.isobit;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
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

    private final String operation;
    private final List<Finding> findings = new ArrayList<>();

    private ClassicMistakes(String operation) {
        this.operation = operation;
    }

    /**
     * Looks at operands of {@link CrossEntropy} with class indices.
     *
     * @param logits [N, C]
     * @param targets [N]
     * @param ignoreIndex the target value that is skipped
     * @return what was found
     */
    public static List<Finding> crossEntropy(Tensor logits, Tensor targets, long ignoreIndex) {
        var check = new ClassicMistakes("CrossEntropy");
        check.rows("logits", logits);
        check.require(targets.rank() == 1 && targets.size(0) == logits.size(0), "targets", targets);
        check.logits(logits);
        check.ignored(targets, ignoreIndex);
        return check.done();
    }

    /**
     * Looks at operands of cross-entropy with class probabilities.
     *
     * @param logits [N, C]
     * @param targets [N, C]
     * @return what was found
     */
    public static List<Finding> crossEntropyWithProbabilities(Tensor logits, Tensor targets) {
        var check = new ClassicMistakes("CrossEntropy");
        check.rows("logits", logits);
        check.sameShape("targets", targets, logits);
        check.logits(logits);
        check.probabilities(targets);
        return check.done();
    }

    /**
     * Looks at operands of {@link NllLoss}.
     *
     * @param logProbabilities [N, C]
     * @param targets [N]
     * @param ignoreIndex the target value that is skipped
     * @return what was found
     */
    public static List<Finding> nllLoss(Tensor logProbabilities, Tensor targets, long ignoreIndex) {
        var check = new ClassicMistakes("NllLoss");
        check.rows("logProbabilities", logProbabilities);
        check.require(targets.rank() == 1 && targets.size(0) == logProbabilities.size(0), "targets", targets);
        check.logProbabilities(logProbabilities);
        check.ignored(targets, ignoreIndex);
        return check.done();
    }

    /**
     * Looks at operands of {@link BceWithLogits}.
     *
     * @param logits any shape
     * @param targets the shape of the logits
     * @param posWeight a scalar, or one for each index of the last axis; null for none
     * @return what was found
     */
    public static List<Finding> bceWithLogits(Tensor logits, Tensor targets, @Nullable Tensor posWeight) {
        var check = new ClassicMistakes("BceWithLogits");
        check.host("logits", logits);
        check.sameShape("targets", targets, logits);
        check.sigmoidTwice(logits);
        check.oneHot(targets);
        if (posWeight != null) {
            check.posWeight(targets, posWeight);
        }
        return check.done();
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
        require(tensor.rank() == 2, name, tensor);
    }

    private void sameShape(String name, Tensor tensor, Tensor as) {
        boolean fits = tensor.rank() == as.rank();
        for (int i = 0; fits && i < as.rank(); i++) {
            fits = tensor.size(i) == as.size(i);
        }
        require(fits, name, tensor);
    }

    private static long classes(Tensor tensor) {
        return tensor.rank() == 0 ? 1 : tensor.size(tensor.rank() - 1);
    }

    /** The rows that are looked at, of as many elements as the last axis has. */
    private static long[] sample(Tensor tensor) {
        long classes = classes(tensor);
        long rows = classes == 0 ? 0 : tensor.elementCount() / classes;
        long count = Math.min(rows, Math.clamp(SAMPLED_ELEMENTS / Math.max(1, classes), 1, SAMPLED_ROWS));
        long[] sample = new long[(int) count];
        for (int i = 0; i < sample.length; i++) {
            // Evenly spread, without an overflow.
            sample[i] = rows / count * i + rows % count * i / count;
        }
        return sample;
    }

    private void logits(Tensor logits) {
        long classes = classes(logits);
        long[] sample = sample(logits);
        int rows = 0;
        for (long row : sample) {
            double sum = 0;
            boolean inRange = true;
            for (long k = 0; k < classes; k++) {
                double z = logits.get(row * classes + k);
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

    private void probabilities(Tensor targets) {
        long classes = classes(targets);
        long[] sample = sample(targets);
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
                double t = targets.get(row * classes + k);
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

    private void logProbabilities(Tensor logProbabilities) {
        long classes = classes(logProbabilities);
        long[] sample = sample(logProbabilities);
        int unlike = 0;
        double sumExample = 0;
        for (long row : sample) {
            double sum = 0;
            for (long k = 0; k < classes; k++) {
                sum += Math.exp(logProbabilities.get(row * classes + k));
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

    private void sigmoidTwice(Tensor logits) {
        long classes = classes(logits);
        long count = 0;
        double least = Double.POSITIVE_INFINITY;
        double most = Double.NEGATIVE_INFINITY;
        for (long row : sample(logits)) {
            for (long k = 0; k < classes; k++) {
                double x = logits.get(row * classes + k);
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

    private void oneHot(Tensor targets) {
        long classes = classes(targets);
        long[] sample = sample(targets);
        if (targets.rank() < 2 || classes < 3 || sample.length < FEWEST) {
            return;
        }
        for (long row : sample) {
            int ones = 0;
            for (long k = 0; k < classes; k++) {
                double t = targets.get(row * classes + k);
                if (t != 0 && t != 1) {
                    return;
                }
                ones += t == 1 ? 1 : 0;
            }
            if (ones != 1) {
                return;
            }
        }
        add(Mistake.ONE_HOT_TARGETS,
                "each of %d sampled rows of targets has exactly one 1 among %d; if classes exclude each other,"
                        + " CrossEntropy with class indices is meant",
                sample.length, classes);
    }

    private void posWeight(Tensor targets, Tensor posWeight) {
        long classes = classes(targets);
        boolean scalar = posWeight.elementCount() == 1;
        require(scalar || posWeight.rank() == 1 && posWeight.size(0) == classes, "posWeight", posWeight);
        int groups = scalar ? 1 : Math.toIntExact(classes);
        double[] positives = new double[groups];
        double[] all = new double[groups];
        for (long row : sample(targets)) {
            for (long k = 0; k < classes; k++) {
                int group = scalar ? 0 : (int) k;
                positives[group] += targets.get(row * classes + k);
                all[group]++;
            }
        }
        int far = 0;
        int first = -1;
        for (int group = 0; group < groups; group++) {
            double ratio = (all[group] - positives[group]) / positives[group];
            double weight = posWeight.get(group);
            // Of few positives the ratio is a guess.
            boolean known = positives[group] >= FEWEST && all[group] - positives[group] >= FEWEST;
            if (known && !(weight <= FAR * ratio && weight >= ratio / FAR)) {
                far++;
                first = first < 0 ? group : first;
            }
        }
        if (far > 0) {
            add(Mistake.POS_WEIGHT_FAR_FROM_DATA,
                    "posWeight%s is %s, but the sampled targets have %.3g negatives for a positive%s",
                    scalar ? "" : "[" + first + "]", posWeight.get(first),
                    (all[first] - positives[first]) / positives[first], far > 1
                            ? "; so have " + (far - 1) + " more"
                            : "");
        }
    }
}
