package dev.isobit.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link RowStages} by vectors. The last vector reaches into the padding. Each loads by itself: through a method of ours vectors
 * were boxed, see bench/NOTES.md.
 */
final class VectorRowStages {
    static final RowStages STAGES = new RowStages(VectorRowStages::scale, VectorRowStages::decay,
            VectorRowStages::softcap, VectorRowStages::slope, VectorRowStages::max,
            VectorRowStages::find, VectorRowStages::exponentials, VectorRowStages::probabilities,
            VectorRowStages::labelTerms, VectorRowStages::entropyTerms, VectorRowStages::gradient);

    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = SPECIES.length();

    private VectorRowStages() {}

    private static void scale(RowSegment s) {
        float[] logits = s.logits;
        for (int i = 0; i < s.length; i += WIDTH) {
            FloatVector.fromArray(SPECIES, logits, i).mul(VectorMath.constant(s.scale)).intoArray(logits, i);
        }
    }

    private static void decay(RowSegment s) {
        float[] logits = s.logits;
        float[] decays = s.slopes;
        for (int i = 0; i < s.length; i += WIDTH) {
            VectorMath.softcapDecay(FloatVector.fromArray(SPECIES, logits, i), VectorMath.constant(s.softcapRate))
                    .intoArray(decays, i);
        }
    }

    private static void softcap(RowSegment s) {
        float[] logits = s.logits;
        float[] decays = s.slopes;
        for (int i = 0; i < s.length; i += WIDTH) {
            VectorMath.softcap(FloatVector.fromArray(SPECIES, logits, i), VectorMath.constant(s.softcap),
                    VectorMath.constant(s.softcapRate),
                    FloatVector.fromArray(SPECIES, decays, i)).intoArray(logits, i);
        }
        s.pad();
    }

    private static void slope(RowSegment s) {
        float[] slopes = s.slopes;
        for (int i = 0; i < s.length; i += WIDTH) {
            VectorMath.softcapSlope(FloatVector.fromArray(SPECIES, slopes, i)).intoArray(slopes, i);
        }
    }

    private static void max(RowSegment s) {
        float[] logits = s.logits;
        FloatVector max = VectorMath.constant(Float.NEGATIVE_INFINITY);
        for (int i = 0; i < s.length; i += WIDTH) {
            FloatVector z = FloatVector.fromArray(SPECIES, logits, i);
            max = max.blend(z, z.compare(VectorOperators.GT, max));
        }
        s.max = max.reduceLanes(VectorOperators.MAX);
    }

    private static void find(RowSegment s) {
        float[] logits = s.logits;
        for (int i = 0;; i += WIDTH) {
            VectorMask<Float> found = FloatVector.fromArray(SPECIES, logits, i).eq(VectorMath.constant(s.max));
            if (found.anyTrue()) {
                s.maxAt = i + found.firstTrue();
                return;
            }
        }
    }

    private static void exponentials(RowSegment s) {
        float[] logits = s.logits;
        float[] exponentials = s.exponentials;
        float[] terms = s.terms;
        int count = 0;
        for (int i = 0; i < s.length; i += WIDTH) {
            FloatVector base = VectorMath.constant(s.base);
            FloatVector z = FloatVector.fromArray(SPECIES, logits, i);
            FloatVector e = VectorMath.expDifference(z, base, z.sub(base));
            VectorMask<Float> isMax = z.eq(VectorMath.constant(s.max));
            count += isMax.trueCount();
            e.intoArray(exponentials, i);
            e.blend(VectorMath.constant(0), isMax).intoArray(terms, i);
        }
        s.count = count;
    }

    private static void probabilities(RowSegment s) {
        float[] labels = s.labels;
        float[] weights = s.terms;
        if (s.smooth != 0) {
            for (int i = 0; i < s.length; i += WIDTH) {
                FloatVector.fromArray(SPECIES, labels, i)
                        .fma(VectorMath.constant(s.keep), VectorMath.constant(s.smooth)).intoArray(labels, i);
            }
        }
        for (int i = 0; i < s.length; i += WIDTH) {
            FloatVector.fromArray(SPECIES, weights, i).mul(FloatVector.fromArray(SPECIES, labels, i)).intoArray(labels,
                    i);
        }
        s.pad();
    }

    private static void labelTerms(RowSegment s) {
        distances(s, s.labels);
    }

    private static void entropyTerms(RowSegment s) {
        distances(s, s.exponentials);
    }

    private static void distances(RowSegment s, float[] factors) {
        float[] logits = s.logits;
        float[] terms = s.terms;
        for (int i = 0; i < s.length; i += WIDTH) {
            FloatVector factor = FloatVector.fromArray(SPECIES, factors, i);
            FloatVector zero = VectorMath.constant(0);
            factor.mul(VectorMath.constant(s.base).sub(FloatVector.fromArray(SPECIES, logits, i)))
                    .blend(zero, factor.eq(zero))
                    .intoArray(terms, i);
        }
    }

    private static void gradient(RowSegment s) {
        float[] exponentials = s.exponentials;
        float[] labels = s.labels;
        float[] terms = s.terms;
        if (s.subtracts) {
            for (int i = 0; i < s.length; i += WIDTH) {
                FloatVector label = VectorMath.constant(s.labelFactor).mul(FloatVector.fromArray(SPECIES, labels, i));
                FloatVector.fromArray(SPECIES, exponentials, i).fma(VectorMath.constant(s.factor), label.neg())
                        .intoArray(terms, i);
            }
        } else {
            for (int i = 0; i < s.length; i += WIDTH) {
                FloatVector.fromArray(SPECIES, exponentials, i).mul(VectorMath.constant(s.factor)).intoArray(terms, i);
            }
        }
        if (s.softcap != 0) {
            float[] slopes = s.slopes;
            for (int i = 0; i < s.length; i += WIDTH) {
                FloatVector.fromArray(SPECIES, terms, i).mul(FloatVector.fromArray(SPECIES, slopes, i)).intoArray(terms,
                        i);
            }
        }
        if (s.accumulates) {
            float[] previous = s.previous;
            for (int i = 0; i < s.length; i += WIDTH) {
                FloatVector.fromArray(SPECIES, previous, i).add(FloatVector.fromArray(SPECIES, terms, i))
                        .intoArray(terms, i);
            }
        }
        for (int i = 0; i < s.length; i += WIDTH) {
            FloatVector g = FloatVector.fromArray(SPECIES, terms, i);
            g.blend(VectorMath.constant(Float.NaN), g.compare(VectorOperators.NE, g)).intoArray(terms, i);
        }
    }
}
