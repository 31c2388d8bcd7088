package dev.isobit.cpu;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.HostMemory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.HostTargets;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What the rows of one call of cross-entropy with options have in common; reused from call to call. Workers read it
 * between the pool's barriers.
 */
final class GeneralBatch {
    private final Workers workers;
    private final CpuKernels kernels;

    final long ignoreIndex;
    final double keep;
    final double zLoss;
    final float scale;
    final float softcap;
    final float softcapRate;
    final boolean accumulates;
    private final double labelSmoothing;

    long rows;
    long classes;
    /** Of whole rows; less only of a shard. */
    long allClasses;
    long firstClass;
    long stride;
    long inner;
    boolean probabilities;
    float smooth;
    double upstream;

    final FloatOperand logits = new FloatOperand();
    final FloatOperand gradLogits = new FloatOperand();
    final FloatOperand labels = new FloatOperand();
    final FloatOperand classWeights = new FloatOperand();
    final FloatOperand weights = new FloatOperand();
    final FloatOperand gradLoss = new FloatOperand();
    final FloatOperand lse = new FloatOperand();
    final FloatOperand entropy = new FloatOperand();
    final FloatOperand logProbabilities = new FloatOperand();
    final FloatOperand states = new FloatOperand();
    final FloatOperand targetLogits = new FloatOperand();
    final FloatOperand savedStates = new FloatOperand();
    final FloatOperand savedTargetLogits = new FloatOperand();
    final HostTargets targets = new HostTargets();
    boolean wantsGradient;
    boolean wantsLse;
    boolean wantsEntropy;
    /** Or the states alone have the entropy's terms. */
    boolean writesEntropy;
    /** Or hits; or the states alone have the places of maxima. */
    boolean wantsArgmax;
    boolean wantsLogProbabilities;
    boolean wantsStates;
    boolean wantsTargetLogits;
    boolean hasSavedStates;
    boolean hasSavedTargetLogits;
    /** Whether more is wanted than states and logits of targets. */
    boolean joins;
    boolean hasClassWeights;
    boolean hasWeights;
    boolean hasGradLoss;
    private boolean writesArgmax;
    private MemorySegment argmax = MemorySegment.NULL;
    private long argmaxOffset;

    /** Whether all workers may touch all operands. */
    boolean parallel;
    /** Row losses of the chunk in work; row {@code firstRow} stands at 0. */
    float[] rowLoss = new float[0];
    long firstRow;

    GeneralBatch(CrossEntropyOptions options, Workers workers, CpuKernels kernels) {
        this.workers = workers;
        this.kernels = kernels;
        ignoreIndex = options.ignoreIndex();
        labelSmoothing = options.labelSmoothing();
        keep = (float) (1 - labelSmoothing);
        zLoss = (float) options.zLoss();
        scale = (float) options.scale();
        softcap = (float) options.softcap();
        softcapRate = softcap == 0 ? 0 : (float) (2 / options.softcap());
        accumulates = options.accumulate();
    }

    void set(CrossEntropyCall call, Reduction reduction) {
        rows = call.rows;
        classes = call.classes;
        allClasses = call.allClasses;
        firstClass = call.firstClass;
        stride = call.stride;
        inner = call.inner;
        probabilities = call.probabilities;
        smooth = (float) (labelSmoothing / allClasses);
        wantsGradient = call.gradLogits != null;
        wantsLse = call.lse != null;
        writesEntropy = call.entropy != null;
        wantsEntropy = call.entropyTerms;
        writesArgmax = call.argmax != null;
        wantsArgmax = call.places;
        wantsLogProbabilities = call.logProbabilities != null;
        wantsStates = call.states != null;
        wantsTargetLogits = call.targetLogits != null;
        hasSavedStates = call.savedStates != null;
        hasSavedTargetLogits = call.savedTargetLogits != null;
        joins = call.joins();
        hasClassWeights = call.classWeights != null;
        hasWeights = call.weights != null;
        hasGradLoss = call.gradLossPerRow && reduction == Reduction.NONE;
        parallel = true;
        view(logits, call.logits);
        view(gradLogits, call.gradLogits);
        view(labels, probabilities ? call.targets : null);
        view(classWeights, call.classWeights);
        view(weights, call.weights);
        view(gradLoss, hasGradLoss ? call.gradLoss : null);
        view(lse, call.lse);
        view(entropy, call.entropy);
        view(logProbabilities, call.logProbabilities);
        view(states, call.states);
        view(targetLogits, call.targetLogits);
        view(savedStates, call.savedStates);
        view(savedTargetLogits, call.savedTargetLogits);
        if (!probabilities) {
            Tensor indices = Objects.requireNonNull(call.targets);
            targets.view(indices);
            parallel &= workers.mayAccess(((HostMemory) indices.memory()).segment());
        }
        Tensor classesOut = call.argmax;
        if (classesOut != null) {
            argmax = ((HostMemory) classesOut.memory()).segment();
            argmaxOffset = classesOut.byteOffset();
            parallel &= workers.mayAccess(argmax);
        }
    }

    private void view(FloatOperand operand, @Nullable Tensor tensor) {
        if (tensor == null) {
            operand.clear();
        } else {
            operand.set(tensor, kernels);
            parallel &= workers.mayAccess(operand.segment);
        }
    }

    /** Where class 0 of a row stands in the logits, their gradient and all that has their shape. */
    long first(long row) {
        return inner == 1 ? row * stride : row / inner * stride * inner + row % inner;
    }

    double upstream(long row) {
        return (hasGradLoss ? upstream * gradLoss.get(row) : upstream) * weight(row) * scale;
    }

    float weight(long row) {
        return hasWeights ? weights.get(row) : 1;
    }

    void setArgmax(long row, long value) {
        if (writesArgmax) {
            argmax.set(ValueLayout.JAVA_LONG_UNALIGNED, argmaxOffset + row * Long.BYTES, value);
        }
    }

    /** Reads classes of a row, from its class 0 at {@code first}. */
    void read(FloatOperand operand, long first, long fromClass, int count, float[] values) {
        if (inner == 1) {
            operand.copyTo(values, 0, first + fromClass, count);
        } else {
            for (int i = 0; i < count; i++) {
                values[i] = operand.get(first + (fromClass + i) * inner);
            }
        }
    }

    /** Writes classes of a row. */
    void write(FloatOperand operand, float[] values, long first, long fromClass, int count) {
        if (inner == 1) {
            operand.copyFrom(values, first + fromClass, count);
        } else {
            for (int i = 0; i < count; i++) {
                operand.set(first + (fromClass + i) * inner, values[i]);
            }
        }
    }

    /** Sets classes of a row. */
    void fill(FloatOperand operand, long first, long fromClass, long toClass, float value) {
        if (inner == 1) {
            operand.fill(first + fromClass, toClass - fromClass, value);
        } else {
            for (long c = fromClass; c < toClass; c++) {
                operand.set(first + c * inner, value);
            }
        }
    }

    /** Drops the operands, so that an idle operation keeps nobody's memory. */
    void clear() {
        logits.clear();
        gradLogits.clear();
        labels.clear();
        classWeights.clear();
        weights.clear();
        gradLoss.clear();
        lse.clear();
        entropy.clear();
        logProbabilities.clear();
        states.clear();
        targetLogits.clear();
        savedStates.clear();
        savedTargetLogits.clear();
        targets.clear();
        argmax = MemorySegment.NULL;
    }
}
