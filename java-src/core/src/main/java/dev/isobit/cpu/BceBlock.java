package dev.isobit.cpu;

/** A block of the operands and results of binary cross-entropy. One per worker, reused. */
final class BceBlock {
    /** What targets are multiplied by, and what is added then: label smoothing. */
    float keep;
    float half;
    /** Targets of this value are ignored; NaN: none are. */
    float ignoreValue;
    /** Of the focal loss: what positives and negatives are multiplied by, the exponent, and twice that. */
    float focalAlpha;
    float focalRest;
    float focalGamma;
    int focalHalves;
    boolean wantsLoss;
    boolean wantsGradient;
    boolean wantsSigmoid;
    /** Whether the kernel adds losses to {@link #lanes}; else it leaves them in {@link #loss}. */
    boolean addsLosses;
    /** Else they are 1. */
    boolean hasPosWeight;
    boolean hasWeights;

    final BlockView logits = new BlockView();
    final BlockView targets = new BlockView();
    final BlockView mask = new BlockView();
    final BlockView posWeight = new BlockView();
    final BlockView weights = new BlockView();
    /** What the gradient is multiplied by. */
    final BlockView upstream = new BlockView();
    /** exp(-|x|), and log1p of it: left from stage to stage. */
    final float[] exp = new float[SegmentWork.LANES];
    final float[] log1p = new float[SegmentWork.LANES];
    /** Of the focal loss 1 - p_t: left from stage to stage. */
    final float[] miss = new float[SegmentWork.LANES];
    /** 0 for an element that is ignored, else 1. */
    final float[] live = new float[SegmentWork.LANES];
    final float[] loss = new float[SegmentWork.LANES];
    /** Of a segment's sum; a block's first element belongs to the first. */
    float[] lanes = {};
    /** Maybe the logits. */
    final BlockView gradLogits = new BlockView();
    final BlockView sigmoid = new BlockView();

    /** Sets the loss and gradient of ignored elements, after the kernel. */
    void dropIgnored(int count) {
        for (int i = 0; i < count; i++) {
            if (live[i] == 0) {
                loss[i] = 0;
                if (wantsGradient) {
                    gradLogits.array[gradLogits.at + i] = 0;
                }
            }
        }
    }

    /** Drops the operands. */
    void clear() {
        logits.clear();
        targets.clear();
        mask.clear();
        posWeight.clear();
        weights.clear();
        upstream.clear();
        gradLogits.clear();
        sigmoid.clear();
    }
}
