package dev.isobit.cpu;

import dev.isobit.spi.CrossEntropyCall;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** A segment of a row while it is worked on, and scratch memory. One per worker, reused. */
class SegmentWork extends LinesBefore {
    /** Elements of a segment at most. */
    static final int SEGMENT = CrossEntropyCall.SEGMENT;
    /** Lanes of a reduction. */
    static final int LANES = 1024;
    /** Float lanes of a vector at most. */
    static final int WIDEST = 64;
    private static final long LANES_BYTES = LANES * (long) Float.BYTES;
    /** Between two sets of lanes: not 4096 bytes, the distance at which a CPU mistakes addresses. */
    private static final long LANES_STEP = LANES_BYTES + 1344;

    /** Where the gradient of no row goes. */
    private final float[] spare = new float[LANES];
    private final short[] spareShorts = new short[LANES];

    /** Native and aligned: a vector in an array straddles two cache lines. */
    private final MemorySegment allLanes = Arena.ofAuto().allocate(3 * LANES_STEP, 128);
    private final MemorySegment even = allLanes.asSlice(0, LANES_BYTES);
    private final MemorySegment odd = allLanes.asSlice(LANES_STEP, LANES_BYTES);
    /** Which of the two are the lanes. A reference that changes at each row would mark the collector's cards. */
    private boolean isOdd;
    /** Scratch memory of the fold. */
    final MemorySegment folded = allLanes.asSlice(2 * LANES_STEP, LANES_BYTES);
    /** Of small rows; made when there are some. */
    SmallBlock block = new SmallBlock(0);
    /** What is left of a segment behind the whole vectors. */
    final float[] tail = new float[2 * WIDEST];

    /** The logits and the gradient; {@link #at} and {@link #outAt} are of the segment's element 0, as in FloatOperand. */
    float[] in = tail;
    /** The same of BF16. */
    short[] inShorts = spareShorts;
    short[] outShorts = spareShorts;
    MemorySegment inSegment = MemorySegment.NULL;
    long at;
    float[] out = tail;
    MemorySegment outSegment = MemorySegment.NULL;
    long outAt;
    /** Long rows of 16 bits: native memory where exponentials wait for their factor, and the segment's first. */
    MemorySegment waiting = MemorySegment.NULL;
    long waitingAt;
    int length;
    boolean gradient;
    /** Whether the gradient of the row before is to be written, and where. */
    private boolean hasPrevious;
    long previousOutAt;
    /** Where the next row starts, as {@link #at}; its maximum; where in this row the last maximum was met. */
    long nextAt;
    float nextMax;
    int maxAt;

    float max;
    /** Vectors of exponentials that took the long way, and for how many more segments all are to be sent there. */
    int unplain;
    int patience;
    int count;
    float sum;
    float factor;

    private SegmentWork() {}

    static SegmentWork create() {
        return new Padded();
    }

    final MemorySegment lanes() {
        return isOdd ? odd : even;
    }

    /** Short rows, whose lanes are their exponentials: those of the row before. */
    final MemorySegment previous() {
        return isOdd ? even : odd;
    }

    /** Lets the lanes and those of the row before change places. */
    final void swap() {
        isOdd = !isOdd;
    }

    /** Where the gradient of the row before goes, or what no row's gradient is written to. */
    final float[] previousOut() {
        return hasPrevious ? out : spare;
    }

    final short[] previousOutShorts() {
        return hasPrevious ? outShorts : spareShorts;
    }

    final MemorySegment previousOutSegment() {
        return hasPrevious ? outSegment : folded;
    }

    final void operands(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient) {
        gradient = wantsGradient;
        in = logits.array;
        inShorts = logits.shorts;
        outShorts = gradLogits.shorts;
        inSegment = logits.segment;
        out = gradLogits.array;
        outSegment = gradLogits.segment;
    }

    /**
     * The gradient that a short row's stage writes.
     *
     * @param gradLogits the gradients, or null: nothing waits, what is written goes into scratch memory
     * @param first the row's first element
     * @param scale what the exponentials in {@link #previous()} are multiplied by
     */
    final void previousGradient(@Nullable FloatOperand gradLogits, long first, float scale) {
        hasPrevious = gradLogits != null;
        previousOutAt = gradLogits == null ? 0 : gradLogits.position(first);
        factor = scale;
    }

    final void clear() {
        previousGradient(null, 0, 0);
        in = tail;
        inShorts = spareShorts;
        outShorts = spareShorts;
        inSegment = MemorySegment.NULL;
        out = tail;
        outSegment = MemorySegment.NULL;
    }

    final void add(int lane, float value) {
        MemorySegment lanes = lanes();
        long at = lane * (long) Float.BYTES;
        lanes.set(ValueLayout.JAVA_FLOAT, at, lanes.get(ValueLayout.JAVA_FLOAT, at) + value);
    }

    /** Folds all lanes from the highest bit of the lane number to the lowest. */
    final float fold() {
        MemorySegment lanes = lanes();
        for (int half = LANES / 2; half >= 1; half /= 2) {
            for (int i = 0; i < half; i++) {
                add(i, lanes.get(ValueLayout.JAVA_FLOAT, (i + half) * (long) Float.BYTES));
            }
        }
        return lanes.get(ValueLayout.JAVA_FLOAT, 0);
    }

    /** Devices differ in the NaN that they make; only one is stored. */
    static float canonical(float value) {
        return value == value ? value : Float.NaN;
    }

    /** Lines behind the fields, see {@link LinesBefore}. */
    @SuppressWarnings("unused")
    private static final class Padded extends SegmentWork {
        private long behind0, behind1, behind2, behind3, behind4, behind5, behind6, behind7;
        private long behind8, behind9, behind10, behind11, behind12, behind13, behind14, behind15;
    }
}
