package dev.isobit.harness.verify;

import dev.isobit.DType;

/** What an operation writes, and how far it may be off. */
enum Output {
    /** A row's loss. */
    ROW_LOSS("row loss", 4),
    /** The sum or mean of row losses; half a unit for each addition on the longest path comes on top. */
    LOSS("sum, mean", 4),
    /** The gradient of the logits. */
    GRAD_LOGITS("gradient", 6),
    /** A row's loss with options; eight times as much with a softcap, here and below. */
    GENERAL_ROW_LOSS("row loss", 8),
    /** The sum or mean of row losses with options; half a unit for each addition on the longest paths comes on top. */
    GENERAL_LOSS("sum, mean", 8),
    /** The gradient with options, at the largest addend. */
    GENERAL_GRADIENT("gradient", 8),
    /** The log-sum-exp, at the larger of its two addends. */
    LSE("lse", 8),
    /** The entropy of a row's probabilities. */
    ENTROPY("entropy", 8),
    /** What is known of the segments of a row. */
    STATES("states", 8),
    /** The predicted class. */
    ARGMAX("argmax", 0),
    /** How many rows are predicted right. */
    HITS("hits", 0),
    /** An element's loss in binary cross-entropy. */
    ELEMENT_LOSS("loss", 8),
    /** The gradient of binary cross-entropy, at the larger of its two addends. */
    BCE_GRADIENT("gradient", 8),
    /** A gradient of BF16, in units of that: the nearest of 99.9 %. */
    GRADIENT_BF16("gradient BF16", 1),
    /** A gradient of F16, in units of that: the nearest of 99.9 %. */
    GRADIENT_F16("gradient F16", 1),
    /** The probability of binary cross-entropy. */
    SIGMOID("sigmoid", 8),
    /** The updated parameter, at max(|p|, U). */
    PARAM("param", 6),
    /** The first moment. */
    EXP_AVG("expAvg", 3),
    /** The second moment. */
    EXP_AVG_SQ("expAvgSq", 4),
    /** The largest second moment. */
    MAX_EXP_AVG_SQ("maxExpAvgSq", 4),
    /** SGD's parameter, at the largest addend. */
    SGD_PARAM("param", 4),
    /** SGD's momentum. */
    MOMENTUM_BUFFER("momentumBuffer", 3),
    /** Probabilities of softmax. */
    PROBABILITIES("probabilities", 6),
    /** Log-probabilities, at the largest addend. */
    LOG_PROBABILITIES("logProbabilities", 4),
    /** Probabilities of BF16, in units of that: the nearest of 99.9 %. */
    SOFTMAX_BF16("BF16", 1),
    /** Probabilities of F16, in units of that: the nearest of 99.9 %. */
    SOFTMAX_F16("F16", 1),
    /** The gradient of softmax or log-softmax, at the largest addend, of a sum at the sum of magnitudes. */
    SOFTMAX_GRADIENT("gradient", 6),
    /** The gradient of negative log-likelihood; with MEAN half a unit for each addition of weights comes on top. */
    NLL_GRADIENT("gradient", 6),
    /** The norm of a guarded step's gradients, rounded to F32. */
    GRAD_NORM("norm", 10),
    /** The same, all of its bits: only compared. */
    NORM_BITS("bits of the norm", 0),
    /** What a guarded step counts, and the loss scale. */
    COUNTS("counts and scale", 0),
    /** The gradients after a guarded step. */
    GRAD("grad", 0),
    /** Gradients added to accumulators: one rounding. */
    GRAD_SUM("gradAccumulator", 0.5),
    /** The accumulators after a guarded step. */
    GRAD_SUM_AFTER("gradAccumulator after a step", 0);

    private final String label;
    private final double budget;

    Output(String label, double budget) {
        this.label = label;
        this.budget = budget;
    }

    /**
     * The gradient of logits of a type.
     *
     * @param dtype of the logits
     * @param ofF32 what it is for F32
     */
    static Output gradient(DType dtype, Output ofF32) {
        return switch (dtype) {
            case BF16 -> GRADIENT_BF16;
            case F16 -> GRADIENT_F16;
            default -> ofF32;
        };
    }

    /** For people and reports. */
    String label() {
        return label;
    }

    /** The most units in the last place by which it may be off. */
    double budget() {
        return budget;
    }
}
