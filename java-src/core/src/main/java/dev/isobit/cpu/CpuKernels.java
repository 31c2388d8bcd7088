package dev.isobit.cpu;

import org.jspecify.annotations.Nullable;

/** Chooses the kernel for operands: one place knows which path runs. */
interface CpuKernels {
    /** The stages for these operands; without a gradient, {@code gradLogits} is empty. */
    SegmentStages stages(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient);

    /**
     * The stages for operands of 16 bits: for float32 in native memory to which they are widened, unless
     * {@link SegmentStages#reachesNarrow}.
     */
    SegmentStages narrowStages(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient);

    /** The loops over a row of cross-entropy with options. */
    RowStages rowStages();

    /** Whether the updates take an operand as it stands in memory, without a block of float32 between. */
    boolean reaches(FloatOperand operand);

    /** The update kernel for these operands, each of which it reaches. */
    AdamUpdate adam(AdamOperands operands);

    /**
     * Another one, which only takes gradients as they are. It may be faster where memory does not like seven streams at a
     * time; see bench/NOTES.md.
     */
    AdamUpdate stagedAdam(AdamOperands operands);

    /** The update kernel for these operands, each of which it reaches. */
    SgdUpdate sgd(SgdOperands operands);

    /** Whether {@link #bce} takes an operand that is not a {@code float[]} as it stands in memory. */
    boolean streams(FloatOperand operand);

    /** The kernel for blocks of binary cross-entropy like this one. */
    BceKernel bce(BceBlock block);

    /** The kernel for a block of the focal loss that is to write these. */
    BceKernel focal(boolean wantsLoss, boolean wantsGradient, boolean wantsSigmoid);

    /** What adds up squares of this operand where it stands; null where blocks of it are copied first. */
    @Nullable
    SquareSum squares(FloatOperand grad);

    /** What converts elements of this 16-bit operand to float32. */
    NarrowCopy widen(FloatOperand operand);

    /** What converts float32 to elements of this 16-bit operand. */
    NarrowCopy narrow(FloatOperand operand);

    /** What makes float32 of BF16 parameters with these remainders, or with none, and BF16 of float32. */
    Bf16Block bf16Block(FloatOperand remainders);

    /** The kernel for exponentials of a block. */
    BlockExp blockExp();
}
