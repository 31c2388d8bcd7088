package dev.isobit.cpu;

/** Scalar code for everything. */
final class ScalarKernels implements CpuKernels {
    static final SegmentStages STAGES =
            new SegmentStages(1, new ScalarMax(), new ScalarExponentials(true), new ScalarExponentials(false),
                    new ScalarSum(), new ScalarSum(),
                    new ScalarScale());
    static final AdamUpdate ADAM = new ScalarAdam();

    @Override
    public SegmentStages stages(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient) {
        return STAGES;
    }

    @Override
    public AdamUpdate adam(FloatOperand param, FloatOperand grad, FloatOperand expAvg, FloatOperand expAvgSq) {
        return ADAM;
    }
}
