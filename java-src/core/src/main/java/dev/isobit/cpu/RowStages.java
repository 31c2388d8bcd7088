package dev.isobit.cpu;

/**
 * The loops over a segment of a row of cross-entropy with options. Called through {@link #run}, which meets too many of
 * them for the JIT to inline one into another: see {@link SegmentStage}.
 *
 * @param scale multiplies the logits
 * @param decay sets slopes to the decay that the next two take
 * @param softcap applies the softcap to the logits
 * @param slope sets slopes
 * @param max sets {@code max}, NaN left out
 * @param find sets {@code maxAt} for {@code max}
 * @param exponentials sets exponentials, terms (those below the maximum) and {@code count}
 * @param probabilities turns the targets in labels into the label: smoothing, then class weights from terms
 * @param labelTerms sets terms: label times distance to the base
 * @param entropyTerms sets terms: exponential times distance to the base
 * @param gradient sets terms: the gradient
 */
record RowStages(RowStage scale, RowStage decay, RowStage softcap, RowStage slope, RowStage max, RowStage find,
        RowStage exponentials, RowStage probabilities, RowStage labelTerms, RowStage entropyTerms, RowStage gradient) {
    /** A loop over a segment. */
    interface RowStage {
        /**
         * Runs it.
         *
         * @param segment what it reads and writes
         */
        void run(RowSegment segment);
    }

    static void run(RowStage stage, RowSegment segment) {
        stage.run(segment);
    }
}
