package dev.isobit.cpu;

import java.util.Arrays;

/**
 * Works on rows of cross-entropy with options: the same code over scalar and vector stages. A row of several segments is
 * read again for its gradient. One per worker, reused.
 */
final class GeneralRows {
    private static final int SEGMENT = SegmentWork.SEGMENT;

    private final RowSegment segment = RowSegment.create();
    private final GeneralRowState state = GeneralRowState.create();
    private final LaneSum laneSum = new LaneSum();
    /** Rows so far whose target is their argmax. */
    long hits;

    private long argmax;
    /** Whether the label has an element for each class, beside the one that an index names. */
    private boolean hasLabels;

    /** Computes rows [from, to). */
    void run(GeneralBatch batch, RowStages stages, long from, long to) {
        hasLabels = batch.probabilities || batch.smooth != 0;
        segment.scale = batch.scale;
        segment.softcap = batch.softcap;
        segment.softcapRate = batch.softcapRate;
        segment.keep = (float) batch.keep;
        segment.smooth = batch.probabilities ? batch.smooth : 0;
        segment.subtracts = hasLabels;
        segment.accumulates = batch.accumulates;
        for (long row = from; row < to; row++) {
            batch.rowLoss[(int) (row - batch.firstRow)] = row(batch, stages, row);
        }
    }

    private float row(GeneralBatch batch, RowStages stages, long row) {
        long first = batch.first(row);
        if (batch.wantsGradient && !batch.accumulates) {
            batch.fill(batch.gradLogits, first, batch.classes, batch.stride, 0);
        }
        long target = batch.probabilities ? 0 : batch.targets.get(row);
        boolean ignored = !batch.probabilities && target == batch.ignoreIndex;
        boolean valid;
        if (batch.hasSavedStates) {
            valid = (!ignored || batch.wantsLogProbabilities)
                    && state.load(batch.savedStates, row, batch.rows, batch.allClasses);
            argmax = ignored || !batch.wantsArgmax ? -1 : state.argmax();
        } else {
            valid = (!ignored || batch.wantsLogProbabilities || batch.wantsStates) && reduce(batch, stages, first);
        }
        if (valid) {
            state.join(hasLabels);
        }
        if (batch.wantsStates) {
            state.store(batch.states, row, batch.rows);
        }
        if (batch.wantsLogProbabilities) {
            logProbabilities(batch, stages, first, valid);
        }
        // Of a row whose target is a class of this shard: that class in the shard.
        long own = ignored || batch.probabilities ? -1 : target - batch.firstClass;
        boolean isHere = own >= 0 && own < batch.classes;
        if (batch.wantsTargetLogits) {
            batch.targetLogits.set(row, isHere ? SegmentWork.canonical(effective(batch, stages, first, own)) : 0);
        }
        if (!batch.joins) {
            return 0;
        }
        if (ignored) {
            if (batch.wantsGradient && !batch.accumulates) {
                batch.fill(batch.gradLogits, first, 0, batch.classes, 0);
            }
            results(batch, row, 0, 0, -1);
            return 0;
        }
        if (batch.wantsArgmax && argmax == target && !batch.probabilities) {
            hits++;
        }
        if (!valid) {
            if (batch.wantsGradient) {
                batch.fill(batch.gradLogits, first, 0, batch.classes, Float.NaN);
            }
            results(batch, row, Float.NaN, Float.NaN, argmax);
            return Float.NaN;
        }
        results(batch, row, state.lse(), batch.writesEntropy ? state.entropy() : 0, argmax);
        float targetWeight = batch.probabilities || !batch.hasClassWeights ? 1 : batch.classWeights.get(target);
        double keep = batch.probabilities ? 0 : batch.keep;
        state.scalars(keep, targetWeight, batch.probabilities ? 1 : batch.smooth, batch.zLoss);
        float targetLogit = batch.hasSavedTargetLogits
                ? batch.savedTargetLogits.get(row)
                : isHere ? effective(batch, stages, first, own) : 0;
        float loss = state.loss(targetLogit, batch.weight(row));
        if (batch.wantsGradient) {
            gradient(batch, stages, row, first, isHere ? own : -1, targetLogit);
        }
        return loss;
    }

    /** The logit of one class, after scale and softcap. */
    private float effective(GeneralBatch batch, RowStages stages, long first, long target) {
        if (batch.classes <= SEGMENT && !batch.hasSavedStates) {
            return segment.logits[(int) target];
        }
        load(batch, stages, first, target, 1);
        return segment.logits[0];
    }

    private static void results(GeneralBatch batch, long row, float lse, float entropy, long argmax) {
        if (batch.wantsLse) {
            batch.lse.set(row, lse);
        }
        if (batch.writesEntropy) {
            batch.entropy.set(row, entropy);
        }
        batch.setArgmax(row, argmax);
    }

    private void load(GeneralBatch batch, RowStages stages, long first, long fromClass, int length) {
        segment.length = length;
        batch.read(batch.logits, first, fromClass, length, segment.logits);
        segment.pad();
        if (batch.scale != 1) {
            RowStages.run(stages.scale(), segment);
        }
        if (batch.softcap != 0) {
            RowStages.run(stages.decay(), segment);
            RowStages.run(stages.softcap(), segment);
            if (batch.wantsGradient) {
                RowStages.run(stages.slope(), segment);
            }
        }
    }

    /** The label's share of each class of the segment, or for indices the class weights. */
    private void loadLabels(GeneralBatch batch, RowStages stages, long first, long fromClass) {
        int length = segment.length;
        if (batch.probabilities) {
            batch.read(batch.labels, first, fromClass, length, segment.labels);
        }
        float[] weights = batch.probabilities ? segment.terms : segment.labels;
        if (batch.hasClassWeights) {
            batch.classWeights.copyTo(weights, 0, batch.firstClass + fromClass, length);
        } else {
            Arrays.fill(weights, 0, length, 1);
        }
        if (batch.probabilities) {
            RowStages.run(stages.probabilities(), segment);
        }
    }

    /** Reduces all segments and finds the argmax; false for a row that has no softmax. */
    private boolean reduce(GeneralBatch batch, RowStages stages, long first) {
        long classes = batch.classes;
        boolean hasNaN = false;
        // What is known of a row that has no softmax makes the rest worth reading, or not.
        boolean readsOn = true;
        argmax = 0;
        state.begin(classes);
        for (long offset = 0; offset < classes && readsOn; offset += SEGMENT) {
            load(batch, stages, first, offset, (int) Math.min(SEGMENT, classes - offset));
            RowStages.run(stages.max(), segment);
            boolean higher = segment.max > state.max;
            if (batch.wantsArgmax && (higher || batch.wantsStates)) {
                RowStages.run(stages.find(), segment);
                argmax = higher ? offset + segment.maxAt : argmax;
            }
            float place = batch.wantsArgmax ? segment.maxAt : -1;
            if (segment.max == Float.POSITIVE_INFINITY) {
                boolean nanHere = batch.wantsArgmax && hasNaN();
                hasNaN |= nanHere;
                state.add(segment.max, 0, Float.NaN);
                state.addPlace(nanHere ? Float.NaN : place);
                readsOn = batch.wantsStates || batch.wantsArgmax && !hasNaN;
                continue;
            }
            segment.base = GeneralRowState.base(segment.max);
            RowStages.run(stages.exponentials(), segment);
            float sum = laneSum.sum(segment.terms, segment.length);
            state.add(segment.max, segment.max == Float.NEGATIVE_INFINITY ? 0 : segment.count, sum);
            state.addPlace(sum != sum && batch.wantsArgmax ? Float.NaN : place);
            if (sum != sum) {
                hasNaN = true;
                readsOn = batch.wantsStates;
                continue;
            }
            if (hasLabels) {
                loadLabels(batch, stages, first, offset);
                float sumOfLabels = laneSum.sum(segment.labels, segment.length);
                RowStages.run(stages.labelTerms(), segment);
                state.addLabels(sumOfLabels, laneSum.sum(segment.terms, segment.length));
            }
            if (batch.wantsEntropy) {
                RowStages.run(stages.entropyTerms(), segment);
                state.addEntropy(laneSum.sum(segment.terms, segment.length));
            }
        }
        argmax = hasNaN ? -1 : argmax;
        return !hasNaN && !state.isInvalid();
    }

    private boolean hasNaN() {
        for (int i = 0; i < segment.length; i++) {
            if (segment.logits[i] != segment.logits[i]) {
                return true;
            }
        }
        return false;
    }

    /** {@code target} is -1 where labels are probabilities or the target is in another shard. */
    private void gradient(GeneralBatch batch, RowStages stages, long row, long first, long target, float targetLogit) {
        long classes = batch.classes;
        double upstream = batch.upstream(row);
        // Where labels are subtracted class by class, both sides see the same factor: C = 1 gives 0.
        state.upstream(batch.probabilities ? (float) upstream : upstream);
        segment.labelFactor = state.labelFactor();
        int j = (int) (batch.firstClass / SEGMENT);
        for (long offset = 0; offset < classes; offset += SEGMENT, j++) {
            if (classes > SEGMENT || batch.hasSavedStates) {
                load(batch, stages, first, offset, (int) Math.min(SEGMENT, classes - offset));
                segment.base = state.segmentBase(j);
                segment.max = segment.base;
                RowStages.run(stages.exponentials(), segment);
                if (hasLabels) {
                    loadLabels(batch, stages, first, offset);
                }
            }
            if (batch.accumulates) {
                batch.read(batch.gradLogits, first, offset, segment.length, segment.previous);
            }
            segment.factor = state.factor(j);
            RowStages.run(stages.gradient(), segment);
            if (target >= offset && target < offset + segment.length) {
                int at = (int) (target - offset);
                float g = state.targetGradient(targetLogit, segment.exponentials[at], j);
                g = batch.softcap == 0 ? g : g * segment.slopes[at];
                segment.terms[at] = SegmentWork.canonical(batch.accumulates ? segment.previous[at] + g : g);
            }
            batch.write(batch.gradLogits, segment.terms, first, offset, segment.length);
        }
    }

    /** The row's last segment is loaded, unless by saved states; if it is the only one, what its gradient takes stays. */
    private void logProbabilities(GeneralBatch batch, RowStages stages, long first, boolean valid) {
        long classes = batch.classes;
        batch.fill(batch.logProbabilities, first, classes, batch.stride, Float.NEGATIVE_INFINITY);
        if (!valid) {
            batch.fill(batch.logProbabilities, first, 0, classes, Float.NaN);
            return;
        }
        for (long offset = (classes - 1) / SEGMENT * SEGMENT; offset >= 0; offset -= SEGMENT) {
            if (offset + SEGMENT < classes || batch.hasSavedStates) {
                load(batch, stages, first, offset, (int) Math.min(SEGMENT, classes - offset));
            }
            subtract(segment, state.max, state.logSum());
            batch.write(batch.logProbabilities, segment.terms, first, offset, segment.length);
        }
    }

    private static void subtract(RowSegment segment, double max, double logSum) {
        float[] z = segment.logits;
        float[] out = segment.terms;
        for (int i = 0; i < segment.length; i++) {
            out[i] = (float) ((z[i] - max) - logSum);
        }
    }
}
