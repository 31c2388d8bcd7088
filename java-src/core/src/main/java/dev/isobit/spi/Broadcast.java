package dev.isobit.spi;

import dev.isobit.Tensor;

/**
 * How the elements of an operand spread over a larger shape: axes are aligned at the innermost one, and an axis that the
 * operand lacks, or of which it has one element, repeats. Neighbouring axes of one kind are merged, so that
 * {@code index(i) = sum over groups of ((i / inner) mod size)·stride}. Reused from call to call.
 *
 * <p>Not thread-safe while {@link #set} runs; reading is.
 */
public final class Broadcast {
    /** The most groups of axes, innermost first, with a repeated axis between any two. */
    public static final int MAX_GROUPS = 4;

    private final long[] inner = new long[MAX_GROUPS];
    private final long[] size = new long[MAX_GROUPS];
    private final long[] stride = new long[MAX_GROUPS];
    private int groups;
    private boolean full;

    /** Makes a broadcast of one element. */
    public Broadcast() {}

    /** One element for all. */
    public void setScalar() {
        groups = 0;
        full = false;
    }

    /**
     * Spreads an operand over the shape of a tensor.
     *
     * @param shape has the shape
     * @param operand what is spread
     * @return whether it fits: each of its sizes is 1 or that of the axis, and it has at most {@link #MAX_GROUPS} groups
     */
    public boolean set(Tensor shape, Tensor operand) {
        setScalar();
        if (operand.elementCount() == 1) {
            return true;
        }
        int missing = shape.rank() - operand.rank();
        if (missing < 0) {
            return false;
        }
        long below = 1;
        long operandBelow = 1;
        boolean joins = false;
        for (int axis = shape.rank() - 1; axis >= 0; axis--) {
            long length = shape.size(axis);
            long own = axis < missing ? 1 : operand.size(axis - missing);
            if (own != length && own != 1) {
                return false;
            }
            if (length == 1) {
                continue;
            }
            if (own == 1) {
                joins = false;
            } else if (joins) {
                size[groups - 1] *= length;
            } else if (groups == MAX_GROUPS) {
                return false;
            } else {
                inner[groups] = below;
                size[groups] = length;
                stride[groups] = operandBelow;
                groups++;
                joins = true;
            }
            below *= length;
            operandBelow *= own;
        }
        full = operandBelow == below;
        return true;
    }

    /**
     * Whether there is one element for all.
     *
     * @return true for a scalar
     */
    public boolean isScalar() {
        return groups == 0;
    }

    /**
     * Whether there is an element for each.
     *
     * @return true where nothing repeats
     */
    public boolean isFull() {
        return full;
    }

    /**
     * The number of groups of axes that do not repeat.
     *
     * @return 0 for a scalar
     */
    public int groups() {
        return groups;
    }

    /**
     * How many elements of the shape share one index of a group.
     *
     * @param group from 0, the innermost
     * @return product of the sizes of all axes further in
     */
    public long inner(int group) {
        return inner[group];
    }

    /**
     * How many indices a group has.
     *
     * @param group from 0, the innermost
     * @return product of the sizes of its axes
     */
    public long size(int group) {
        return size[group];
    }

    /**
     * How far the operand's elements of neighbouring indices of a group are apart.
     *
     * @param group from 0, the innermost
     * @return distance in elements
     */
    public long stride(int group) {
        return stride[group];
    }

    /**
     * Which of the operand's elements belongs to one of the shape.
     *
     * @param element flat index in the shape
     * @return flat index in the operand
     */
    public long index(long element) {
        if (full) {
            return element;
        }
        long index = 0;
        for (int group = 0; group < groups; group++) {
            index += element / inner[group] % size[group] * stride[group];
        }
        return index;
    }

    /**
     * Whether a run's elements have neighbouring indices; else they have one index.
     *
     * @return true where the innermost axis does not repeat
     */
    public boolean runsRise() {
        return groups > 0 && inner[0] == 1;
    }

    /**
     * How long the run is that an element begins: elements with neighbouring indices, or with one index.
     *
     * @param element flat index in the shape
     * @return at least 1
     */
    public long run(long element) {
        if (groups == 0 || full) {
            return Long.MAX_VALUE;
        }
        return runsRise() ? size[0] - element % size[0] : inner[0] - element % inner[0];
    }
}
