package dev.isobit.spi;

import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One checked call of cross-entropy, filled by {@link dev.isobit.CrossEntropy} and reused from call to call: a kernel
 * must not keep it. All tensors have the right shapes, types and memory.
 *
 * <p>Class c of row r stands at element {@code (r / inner)·stride·inner + c·inner + r % inner} of the logits, of their
 * gradient, of class probabilities and of log-probabilities.
 */
public final class CrossEntropyCall {
    /** Classes of a segment. */
    public static final int SEGMENT = 8192;
    /** Numbers of a segment's state. */
    public static final int STATE = 7;

    /** Makes an empty call. */
    public CrossEntropyCall() {}

    /** Whether the options are the default ones, but for reduction and ignore index, and nothing below is needed. */
    public boolean plain;
    /** Rows: N·d1·..·dk. */
    public long rows;
    /** Classes, C, at least 1; of a shard, those that it has. */
    public long classes;
    /** The first of them in a whole row, a multiple of {@link #SEGMENT}; 0 where there is no shard. */
    public long firstClass;
    /** Classes of a whole row: {@link #classes} where there is no shard. Targets and class weights are those of whole rows. */
    public long allClasses;
    /** Classes and padding, at least C. */
    public long stride;
    /** d1·..·dk. */
    public long inner;
    /** Logits [N, stride] or [N, stride, d1, .., dk]. */
    public @Nullable Tensor logits;
    /** Class indices per row, I64, I32, I16 or U8; or class probabilities, the shape of the logits. */
    public @Nullable Tensor targets;
    /** Whether {@link #targets} are class probabilities. */
    public boolean probabilities;
    /** Weight of each class; null means 1. */
    public @Nullable Tensor classWeights;
    /** Weight of each row; null means 1. */
    public @Nullable Tensor weights;
    /** Upstream gradient: a scalar, or per row; null means 1. */
    public @Nullable Tensor gradLoss;
    /** Whether {@link #gradLoss} has an element for each row. */
    public boolean gradLossPerRow;
    /** What the upstream gradient is multiplied by. */
    public float gradLossScale;
    /** What {@code MEAN} divides by, a scalar; null where the options say something else. */
    public @Nullable Tensor denominator;
    /** Where the loss goes: per row for {@code NONE}, else a scalar; null if it is not asked for. */
    public @Nullable Tensor loss;
    /** Where the gradient of the logits goes, their shape, maybe the logits themselves; null if it is not asked for. */
    public @Nullable Tensor gradLogits;
    /** Where the log-sum-exp goes, per row; null if it is not asked for. */
    public @Nullable Tensor lse;
    /** Where the entropy goes, per row; null if it is not asked for. */
    public @Nullable Tensor entropy;
    /** Where the predicted classes go, per row, I64; null if they are not asked for. */
    public @Nullable Tensor argmax;
    /** Where the number of rows goes that are predicted right, an I64 scalar; null if it is not asked for. */
    public @Nullable Tensor hits;
    /** Where the log-probabilities go, the shape of the logits; null if they are not asked for. */
    public @Nullable Tensor logProbabilities;
    /**
     * Where the states of the rows' segments go: segment by segment and row by row maximum, count, sum, sum of labels, of
     * their distances, of the entropy's terms, place of the maximum; null if they are not asked for.
     */
    public @Nullable Tensor states;
    /** Whether states have the entropy's terms; so they do where {@link #entropy} is asked for. */
    public boolean entropyTerms;
    /** Whether states have the places of maxima; so they do where {@link #argmax} or {@link #hits} is asked for. */
    public boolean places;
    /** Where the targets' logits go, per row; null if they are not asked for. */
    public @Nullable Tensor targetLogits;
    /**
     * What earlier calls wrote as states, of whole rows; states and logits of targets are not asked for then. Null: there
     * are none.
     */
    public @Nullable Tensor savedStates;
    /** What earlier calls wrote as logits of the targets; null: they are in the logits, or not needed. */
    public @Nullable Tensor savedTargetLogits;

    /**
     * Whether rows are to be joined, for a loss or a gradient.
     *
     * @return false if states and logits of targets are all that is wanted
     */
    public boolean joins() {
        return loss != null || gradLogits != null;
    }

    /** Drops the operands, so that an idle operation keeps nobody's memory. */
    public void clear() {
        logits = null;
        targets = null;
        classWeights = null;
        weights = null;
        gradLoss = null;
        denominator = null;
        loss = null;
        gradLogits = null;
        lse = null;
        entropy = null;
        argmax = null;
        hits = null;
        logProbabilities = null;
        states = null;
        targetLogits = null;
        savedStates = null;
        savedTargetLogits = null;
    }
}
