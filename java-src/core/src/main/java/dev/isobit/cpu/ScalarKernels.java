package dev.isobit.cpu;

import org.jspecify.annotations.Nullable;

/** Scalar code for everything. */
final class ScalarKernels implements CpuKernels {
    static final SegmentStages STAGES =
            new SegmentStages(1, new ScalarMax(), new ScalarExponentials(), new ScalarExponentials(),
                    new ScalarSum(), new ScalarSum(),
                    new ScalarScale());
    static final AdamUpdate ADAM = new ScalarAdam(false);
    static final AdamUpdate AMSGRAD = new ScalarAdam(true);
    static final SgdUpdate SGD = new ScalarSgd();
    static final NarrowCopy WIDEN = new ScalarWiden();
    static final NarrowCopy NARROW = new ScalarNarrow();
    static final Bf16Block BF16_BLOCK = new ScalarBf16Block();
    private static final BceKernel BCE = new ScalarBce();
    private static final BceKernel FOCAL = new ScalarFocal();
    private static final BlockExp BLOCK_EXP = new ScalarBlockExp();

    @Override
    public SegmentStages stages(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient) {
        return STAGES;
    }

    @Override
    public SegmentStages narrowStages(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient) {
        return STAGES;
    }

    @Override
    public RowStages rowStages() {
        return ScalarRowStages.STAGES;
    }

    @Override
    public boolean reaches(FloatOperand operand) {
        return true;
    }

    @Override
    public AdamUpdate adam(AdamOperands operands) {
        return adam(operands.amsgrad);
    }

    @Override
    public AdamUpdate stagedAdam(AdamOperands operands) {
        return adam(operands);
    }

    static AdamUpdate adam(boolean amsgrad) {
        return amsgrad ? AMSGRAD : ADAM;
    }

    @Override
    public SgdUpdate sgd(SgdOperands operands) {
        return SGD;
    }

    @Override
    public boolean streams(FloatOperand operand) {
        return false;
    }

    @Override
    public BceKernel bce(BceBlock block) {
        return BCE;
    }

    @Override
    public BceKernel focal(boolean wantsLoss, boolean wantsGradient, boolean wantsSigmoid) {
        return FOCAL;
    }

    @Override
    public @Nullable SquareSum squares(FloatOperand grad) {
        return null;
    }

    @Override
    public NarrowCopy widen(FloatOperand operand) {
        return WIDEN;
    }

    @Override
    public NarrowCopy narrow(FloatOperand operand) {
        return NARROW;
    }

    @Override
    public Bf16Block bf16Block(FloatOperand remainders) {
        return BF16_BLOCK;
    }

    @Override
    public BlockExp blockExp() {
        return BLOCK_EXP;
    }
}
