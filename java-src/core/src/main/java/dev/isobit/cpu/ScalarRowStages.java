package dev.isobit.cpu;

import static dev.isobit.math.Fma.fma;

import dev.isobit.math.ExactMath;

/** {@link RowStages} by scalar code: any JVM. {@link VectorRowStages} must match it to the bit. */
final class ScalarRowStages {
    static final RowStages STAGES = new RowStages(ScalarRowStages::scale, ScalarRowStages::decay,
            ScalarRowStages::softcap, ScalarRowStages::slope, ScalarRowStages::max,
            ScalarRowStages::find, ScalarRowStages::exponentials, ScalarRowStages::probabilities,
            ScalarRowStages::labelTerms, ScalarRowStages::entropyTerms, ScalarRowStages::gradient);

    private ScalarRowStages() {}

    private static void scale(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            s.logits[i] *= s.scale;
        }
    }

    private static void decay(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            s.slopes[i] = ExactMath.softcapDecay(s.logits[i], s.softcapRate);
        }
    }

    private static void softcap(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            s.logits[i] = ExactMath.softcap(s.logits[i], s.softcap, s.softcapRate, s.slopes[i]);
        }
    }

    private static void slope(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            s.slopes[i] = ExactMath.softcapSlope(s.slopes[i]);
        }
    }

    private static void max(RowSegment s) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < s.length; i++) {
            max = s.logits[i] > max ? s.logits[i] : max;
        }
        s.max = max;
    }

    private static void find(RowSegment s) {
        int i = 0;
        while (s.logits[i] != s.max) {
            i++;
        }
        s.maxAt = i;
    }

    private static void exponentials(RowSegment s) {
        int count = 0;
        for (int i = 0; i < s.length; i++) {
            float e = ExactMath.expDifference(s.logits[i], s.base);
            boolean isMax = s.logits[i] == s.max;
            count += isMax ? 1 : 0;
            s.exponentials[i] = e;
            s.terms[i] = isMax ? 0 : e;
        }
        s.count = count;
    }

    private static void probabilities(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            s.labels[i] = s.terms[i] * (s.smooth == 0 ? s.labels[i] : fma(s.labels[i], s.keep, s.smooth));
        }
    }

    private static void labelTerms(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            s.terms[i] = s.labels[i] == 0 ? 0 : s.labels[i] * (s.base - s.logits[i]);
        }
    }

    private static void entropyTerms(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            s.terms[i] = s.exponentials[i] == 0 ? 0 : s.exponentials[i] * (s.base - s.logits[i]);
        }
    }

    private static void gradient(RowSegment s) {
        for (int i = 0; i < s.length; i++) {
            float g = s.subtracts
                    ? fma(s.exponentials[i], s.factor, -(s.labelFactor * s.labels[i]))
                    : s.exponentials[i] * s.factor;
            if (s.softcap != 0) {
                g *= s.slopes[i];
            }
            if (s.accumulates) {
                g = s.previous[i] + g;
            }
            s.terms[i] = SegmentWork.canonical(g);
        }
    }
}
