package dev.isobit.cpu;

/** Chooses the kernel for operands: one place knows which path runs. */
interface CpuKernels {
    /** The rows kernel for these operands. */
    CrossEntropyRows rows(FloatOperand logits, FloatOperand gradLogits);

    /** The update kernel for these operands. */
    AdamUpdate adam(FloatOperand param, FloatOperand grad, FloatOperand expAvg, FloatOperand expAvgSq);
}
