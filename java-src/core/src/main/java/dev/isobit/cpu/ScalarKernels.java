package dev.isobit.cpu;

/** Scalar code for everything. */
final class ScalarKernels implements CpuKernels {
    static final CrossEntropyRows ROWS = new ScalarRows();
    static final AdamUpdate ADAM = new ScalarAdam();

    @Override
    public CrossEntropyRows rows(FloatOperand logits, FloatOperand gradLogits) {
        return ROWS;
    }

    @Override
    public AdamUpdate adam(FloatOperand param, FloatOperand grad, FloatOperand expAvg, FloatOperand expAvgSq) {
        return ADAM;
    }
}
