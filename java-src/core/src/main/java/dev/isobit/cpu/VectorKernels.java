package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/** The Vector API where memory allows, in copies specialised by kind of memory, made when first asked for. */
final class VectorKernels implements CpuKernels {
    private static final AtomicReferenceArray<@Nullable SegmentStages> STAGES = new AtomicReferenceArray<>(1 << 5);
    private static final AtomicReferenceArray<@Nullable SegmentStages> NARROW_STAGES =
            new AtomicReferenceArray<>(1 << 6);
    /** Stands for the native memory in which rows of 16 bits are worked on. */
    private static final FloatOperand SCRATCH = new FloatOperand();

    static {
        SCRATCH.set(MemorySegment.NULL, 0);
    }

    /** By flags: of types and kinds of memory there are too many combinations for a table. */
    private static final Map<Integer, AdamUpdate> ADAM = new ConcurrentHashMap<>();
    private static final Map<Integer, AdamUpdate> BF16_ADAM = new ConcurrentHashMap<>();
    private static final Map<Integer, AdamUpdate> STAGED_ADAM = new ConcurrentHashMap<>();
    private static final Map<Integer, SgdUpdate> SGD = new ConcurrentHashMap<>();
    private static final AtomicReferenceArray<@Nullable BceKernel> BCE =
            new AtomicReferenceArray<>(1 << VectorBce.FLAGS);
    private static final AtomicReferenceArray<@Nullable BceKernel> FOCAL = new AtomicReferenceArray<>(1 << 3);
    private static final AtomicReferenceArray<@Nullable SquareSum> SQUARES = new AtomicReferenceArray<>(3);
    private static final AtomicReferenceArray<@Nullable NarrowCopy> WIDEN = new AtomicReferenceArray<>(1 << 2);
    private static final AtomicReferenceArray<@Nullable NarrowCopy> NARROW = new AtomicReferenceArray<>(1 << 2);
    private static final AtomicReferenceArray<@Nullable Bf16Block> BF16_BLOCKS = new AtomicReferenceArray<>(1 << 1);
    private static final BlockExp BLOCK_EXP = new VectorBlockExp();

    private static final int LATER = 1 << VectorExponentials.LATER_BIT;
    private static final int AHEAD = 1 << VectorExponentials.AHEAD_BIT;

    @Override
    public SegmentStages stages(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient) {
        int flags = flags(logits, 0) | (wantsGradient ? flags(gradLogits, 2) | 1 << 4 : 0);
        if (flags < 0) {
            return ScalarKernels.STAGES;
        }
        SegmentStages stages = STAGES.get(flags);
        if (stages == null) {
            STAGES.compareAndSet(flags, null, new SegmentStages(VectorAccess.WIDTH, stage(VectorMax.class, flags),
                    stage(VectorExponentials.class, flags), stage(VectorExponentials.class, flags | 1 << 5),
                    stage(VectorTail.class, flags), new VectorSum(), stage(VectorScale.class, flags))
                    .lookingAhead(stage(VectorExponentials.class, flags | AHEAD),
                            stage(VectorExponentials.class, flags | AHEAD | 1 << 5))
                    .withManyClasses(wantsGradient ? manyClasses(flags) : null)
                    .withShortRows(stage(VectorShortRow.class, flags), pairedRow(flags),
                            stage(VectorShortRow.class, flags | 1 << 5), new VectorShortSum(), new VectorLogSum(),
                            new VectorSmallJoin())
                    .withSmallRows(
                            new SegmentStage[] {stage(VectorSmallMax.class, flags),
                                new StageWithShortCut(stage(VectorSmallExponentials.class, flags),
                                        stage(VectorSmallExponentials.class, flags | 1 << 5)),
                                new VectorSmallSum(), new VectorLogSum(),
                                stage(SmallTargets.class, flags), new VectorSmallJoin()},
                            stage(VectorSmallGradient.class, flags)));
            stages = STAGES.get(flags);
        }
        return stages;
    }

    @Override
    public SegmentStages narrowStages(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient) {
        SegmentStages floats = stages(SCRATCH, SCRATCH, wantsGradient);
        if (!isReached(logits) || wantsGradient && !isReached(gradLogits)) {
            return floats;
        }
        int flags = (logits.shorts.length > 0 ? 1 : 2)
                | (wantsGradient ? (gradLogits.shorts.length > 0 ? 4 : 8) | 1 << 4 : 0);
        int index = flags | (logits.f16 ? 1 << 5 : 0);
        SegmentStages stages = NARROW_STAGES.get(index);
        if (stages == null) {
            SegmentStages made = floats.withLongRows(longRows(flags, logits.f16));
            NARROW_STAGES.compareAndSet(index, null, logits.f16
                    ? made
                    : made.withBf16Rows(stage(VectorShortRow.class, flags | 1 << VectorExponentials.BF16_BIT),
                            stage(VectorShortRow.class, flags | 1 << 5 | 1 << VectorExponentials.BF16_BIT)));
            stages = NARROW_STAGES.get(index);
        }
        return stages;
    }

    private static SegmentStages longRows(int operands, boolean f16) {
        int flags = operands | 1 << (f16 ? VectorExponentials.F16_BIT : VectorExponentials.BF16_BIT);
        return new SegmentStages(2 * VectorAccess.WIDTH, stage(VectorNarrowMax.class, flags), evenAndOdd(flags),
                evenAndOdd(flags | 1 << 5), stage(VectorTail.class, flags), stage(VectorSum.class, flags),
                stage(VectorNarrowScale.class, flags)).lookingAhead(evenAndOdd(flags | AHEAD),
                        evenAndOdd(flags | AHEAD | 1 << 5));
    }

    /** Of float32, for rows with a gradient and of many classes. */
    private static SegmentStages manyClasses(int flags) {
        SegmentStage max = new MaxWithShortCut(stage(VectorIntegerMax.class, flags), stage(VectorMax.class, flags));
        return new SegmentStages(VectorAccess.WIDTH, max, lanesLater(flags), lanesLater(flags | 1 << 5),
                stage(VectorTail.class, flags), new VectorSum(),
                stage(VectorScale.class, flags | LATER)).lookingAhead(lanesLater(flags | AHEAD),
                        lanesLater(flags | AHEAD | 1 << 5));
    }

    private static SegmentStage lanesLater(int flags) {
        return new TwoStages(stage(VectorExponentials.class, flags | LATER), stage(VectorLanes.class, flags));
    }

    private static SegmentStage evenAndOdd(int flags) {
        return new TwoStages(stage(VectorExponentials.class, flags),
                stage(VectorExponentials.class, flags | 1 << VectorExponentials.ODD_BIT));
    }

    /** A row has as many turns, and a turn as many elements, as a long has bits, or fewer; else one vector a turn. */
    private static SegmentStage pairedRow(int flags) {
        boolean fits = SegmentWork.LANES <= VectorPairedRow.PAIR * Long.SIZE && VectorPairedRow.PAIR <= Long.SIZE;
        return !fits
                ? stage(VectorShortRow.class, flags)
                : new TwoStages(stage(VectorPairedRow.class, flags), stage(VectorRareExponentials.class, flags));
    }

    private static SegmentStage stage(Class<?> kernel, int flags) {
        return (SegmentStage) Specialized.instance(kernel, flags);
    }

    @Override
    public RowStages rowStages() {
        return VectorRowStages.STAGES;
    }

    @Override
    public boolean reaches(FloatOperand operand) {
        return !operand.isNarrow() || isReached(operand);
    }

    @Override
    public AdamUpdate adam(AdamOperands operands) {
        ParamStorage storage = operands.storage;
        if (storage.isAlone() && !operands.amsgrad
                && areBf16(storage.param, operands.grad, operands.expAvg, operands.expAvgSq)) {
            return BF16_ADAM.computeIfAbsent(storage.param.shorts.length > 0 ? 1 : 0,
                    f -> (AdamUpdate) Specialized.instance(VectorBf16Adam.class, f));
        }
        int flags = mixed(storage.first(), 0) | mixed(operands.grad, 1) | mixed(operands.expAvg, 2)
                | mixed(operands.expAvgSq, 3)
                | (operands.amsgrad ? mixed(operands.maxExpAvgSq, 4) | 1 << VectorAdam.AMSGRAD_BIT : 0)
                | (storage.isAlone() ? 0 : mixed(storage.beside(), 5))
                | (storage.hasMaster ? 1 << VectorAdam.MASTER_BIT : 0)
                | (storage.hasRemainders ? 1 << VectorAdam.REMAINDERS_BIT : 0)
                | (storage.param.f16 ? 1 << VectorAdam.F16_PARAM_BIT : 0)
                | (operands.grad.f16 ? 1 << VectorAdam.F16_GRAD_BIT : 0);
        return flags < 0
                ? ScalarKernels.adam(operands.amsgrad)
                : ADAM.computeIfAbsent(flags, f -> (AdamUpdate) Specialized.instance(VectorAdam.class, f));
    }

    /** Whether all operands are BF16, all in arrays or all in native memory. */
    private static boolean areBf16(FloatOperand... operands) {
        boolean arrays = operands[0].shorts.length > 0;
        for (FloatOperand operand : operands) {
            if (!operand.isNarrow() || operand.f16 || !isReached(operand) || operand.shorts.length > 0 != arrays) {
                return false;
            }
        }
        return true;
    }

    @Override
    public AdamUpdate stagedAdam(AdamOperands operands) {
        ParamStorage storage = operands.storage;
        int flags = storage.isAlone()
                ? flags(storage.param, 0) | flags(operands.grad, 2) | flags(operands.expAvg, 4)
                        | flags(operands.expAvgSq, 6)
                        | (operands.amsgrad ? flags(operands.maxExpAvgSq, 8) | 1 << 10 : 0)
                : Integer.MIN_VALUE;
        return flags < 0
                ? adam(operands)
                : STAGED_ADAM.computeIfAbsent(flags,
                        f -> (AdamUpdate) Specialized.instance(VectorStagedAdam.class, f));
    }

    @Override
    public SgdUpdate sgd(SgdOperands operands) {
        ParamStorage storage = operands.storage;
        int flags = mixed(storage.first(), 0) | mixed(operands.grad, 1)
                | (operands.momentum ? mixed(operands.momentumBuffer, 2) | 1 << VectorSgd.MOMENTUM_BIT : 0)
                | (storage.isAlone() ? 0 : mixed(storage.beside(), 3))
                | (storage.hasMaster ? 1 << VectorSgd.MASTER_BIT : 0)
                | (storage.hasRemainders ? 1 << VectorSgd.REMAINDERS_BIT : 0)
                | (storage.param.f16 ? 1 << VectorSgd.F16_PARAM_BIT : 0)
                | (operands.grad.f16 ? 1 << VectorSgd.F16_GRAD_BIT : 0);
        return flags < 0
                ? ScalarKernels.SGD
                : SGD.computeIfAbsent(flags, f -> (SgdUpdate) Specialized.instance(VectorSgd.class, f));
    }

    @Override
    public boolean streams(FloatOperand operand) {
        return operand.kind == FloatOperand.Kind.NATIVE || operand.isNarrow() && !operand.f16 && isReached(operand);
    }

    @Override
    public BceKernel bce(BceBlock block) {
        int flags = (block.wantsLoss ? 1 << VectorBce.LOSS_BIT : 0)
                | (block.wantsGradient ? 1 << VectorBce.GRADIENT_BIT : 0)
                | (block.wantsSigmoid ? 1 << VectorBce.SIGMOID_BIT : 0)
                | (block.hasPosWeight ? 1 << VectorBce.POS_WEIGHT_BIT : 0)
                | (block.hasWeights ? 1 << VectorBce.WEIGHTS_BIT : 0)
                | (block.addsLosses ? 1 << VectorBce.ADDS_BIT : 0)
                | (block.keep != 1 || block.half != 0 ? 1 << VectorBce.SMOOTHS_BIT : 0)
                | block.logits.kind() << VectorBce.LOGITS_BITS
                | block.targets.kind() << VectorBce.TARGETS_BITS
                | block.gradLogits.kind() << VectorBce.GRAD_LOGITS_BITS;
        BceKernel kernel = BCE.get(flags);
        if (kernel == null) {
            BCE.compareAndSet(flags, null, new BceStages(bceStage(VectorBceExp.class, block.logits.kind()), null,
                    bceStage(VectorBce.class, flags)));
            kernel = BCE.get(flags);
        }
        return kernel;
    }

    private static BceKernel bceStage(Class<?> kernel, int flags) {
        return (BceKernel) Specialized.instance(kernel, flags);
    }

    @Override
    public BceKernel focal(boolean wantsLoss, boolean wantsGradient, boolean wantsSigmoid) {
        int flags = (wantsLoss ? 1 : 0) | (wantsGradient ? 2 : 0) | (wantsSigmoid ? 4 : 0);
        BceKernel kernel = FOCAL.get(flags);
        if (kernel == null) {
            var results = new BceStages(new VectorFocalMiss(), null,
                    bceStage(VectorFocal.class, flags));
            FOCAL.compareAndSet(flags, null,
                    new BceStages(bceStage(VectorBceExp.class, 0), new VectorBceLog(), results));
            kernel = FOCAL.get(flags);
        }
        return kernel;
    }

    @Override
    public @Nullable SquareSum squares(FloatOperand grad) {
        int flags = flags(grad, 0);
        if (flags < 0) {
            return null;
        }
        SquareSum squares = SQUARES.get(flags);
        if (squares == null) {
            SQUARES.compareAndSet(flags, null, (SquareSum) Specialized.instance(VectorSquares.class, flags));
            squares = SQUARES.get(flags);
        }
        return squares;
    }

    @Override
    public NarrowCopy widen(FloatOperand operand) {
        return isReached(operand) ? copy(WIDEN, VectorWiden.class, operand) : ScalarKernels.WIDEN;
    }

    @Override
    public NarrowCopy narrow(FloatOperand operand) {
        return isReached(operand) ? copy(NARROW, VectorNarrow.class, operand) : ScalarKernels.NARROW;
    }

    private static boolean isReached(FloatOperand narrow) {
        return narrow.shorts.length > 0 || narrow.segment.getClass() == FloatOperand.NATIVE_SEGMENT;
    }

    private static NarrowCopy copy(AtomicReferenceArray<@Nullable NarrowCopy> made, Class<?> kernel,
            FloatOperand narrow) {
        int flags = (narrow.f16 ? 1 : 0) | (narrow.shorts.length > 0 ? 2 : 0);
        NarrowCopy copy = made.get(flags);
        if (copy == null) {
            made.compareAndSet(flags, null, (NarrowCopy) Specialized.instance(kernel, flags));
            copy = made.get(flags);
        }
        return copy;
    }

    @Override
    public Bf16Block bf16Block(FloatOperand remainders) {
        if (!isReached(remainders)) {
            return ScalarKernels.BF16_BLOCK;
        }
        int flags = remainders.shorts.length > 0 ? 1 : 0;
        Bf16Block block = BF16_BLOCKS.get(flags);
        if (block == null) {
            BF16_BLOCKS.compareAndSet(flags, null,
                    (Bf16Block) Specialized.instance(VectorBf16Block.class, flags));
            block = BF16_BLOCKS.get(flags);
        }
        return block;
    }

    @Override
    public BlockExp blockExp() {
        return BLOCK_EXP;
    }

    /** The operand's two bits, array and native, or a negative number where vectors cannot reach it. */
    private static int flags(FloatOperand operand, int bit) {
        return switch (operand.kind) {
            case ARRAY -> 1 << bit;
            case NATIVE -> 2 << bit;
            case MAPPED -> 0;
            case OTHER, NARROW -> Integer.MIN_VALUE;
        };
    }

    /** The bits of an operand of an update: array, native and of 16 bits. Negative where vectors cannot reach it. */
    private static int mixed(FloatOperand operand, int place) {
        int bits = operand.isNarrow() ? operand.shorts.length > 0 ? 5 : 6 : flags(operand, 0);
        return bits < 0 ? bits : bits << place * VectorAdam.BITS;
    }
}
