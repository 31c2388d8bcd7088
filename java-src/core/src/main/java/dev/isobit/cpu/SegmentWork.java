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
    /** For {@link #nextMax}. */
    static final float UNKNOWN = -1;
    /**
     * What may stand in the gradient's memory for a maximum's exponential, 1, which belongs to no lane: added to one it changes
     * nothing, and nothing else there has its sign.
     */
    static final float MAXIMUM = -0f;
    static final int LANE_BYTES = LANES * Float.BYTES;
    /**
     * From one set of lanes to the next, with room for them to be folded: not a multiple of 4096 bytes, a distance at which a CPU
     * mistakes addresses.
     */
    static final int APART = LANE_BYTES + 2368;

    private static final float[] ZEROS = new float[LANES];

    /** Where the gradient of no row goes. */
    private final float[] spare = new float[LANES];
    private final short[] spareShorts = new short[LANES];

    /** What has no array's place goes here. */
    final MemorySegment spareSegment = Arena.ofAuto().allocate(LANES * (long) Float.BYTES, 64);

    /** Of long rows. */
    final float[] lanes = new float[LANES];
    /** Short rows, while there are some: where in {@link ScratchPool#MEMORY} what they borrow begins. */
    private long slot;
    /** Which of the two sets of lanes there are the row's. */
    private boolean isOdd;
    /** Scratch memory of the fold. */
    final float[] folded = new float[LANES];
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
    /** Long rows of 16 bits: where exponentials wait for their factor, and the segment's first. */
    float[] waiting = tail;
    int waitingAt;
    int length;
    boolean gradient;
    /** Whether the gradient of the row before is to be written, and where. */
    private boolean hasPrevious;
    long previousOutAt;
    /** Short rows: whether it is written from its beginning. Else from its end, see {@link ShortRows}. */
    boolean ascending;
    /**
     * Where the next row or segment starts, as {@link #at}, and how many elements it has; its maximum, which is right where it is
     * not negative: as integers, the bits of floats below -0 are in the wrong order, and those of NaN above all.
     */
    long nextAt;
    int nextLength;
    float nextMax;
    /** Where in a short row the last maximum was met. */
    int maxAt;
    /** Turns of {@link VectorPairedRow} with an element that is not plain, the last one in the lowest bit. */
    long special;

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

    /** Borrows lanes for short rows, all 0. */
    final void takeSlot() {
        slot = ScratchPool.take();
        MemorySegment.copy(ZEROS, 0, ScratchPool.MEMORY, ValueLayout.JAVA_FLOAT, lanesAt(), LANES);
        MemorySegment.copy(ZEROS, 0, ScratchPool.MEMORY, ValueLayout.JAVA_FLOAT, previousAt(), LANES);
    }

    final void giveSlotBack() {
        ScratchPool.giveBack(slot);
    }

    /** Where in {@link ScratchPool#MEMORY} the lanes of a short row are, which are its exponentials. */
    final long lanesAt() {
        return isOdd ? slot + APART : slot;
    }

    /** The same of the row before. */
    final long previousAt() {
        return isOdd ? slot : slot + APART;
    }

    /** An exponential of the row before. */
    final float previous(int i) {
        return ScratchPool.MEMORY.get(ValueLayout.JAVA_FLOAT, previousAt() + (long) i * Float.BYTES);
    }

    /** The exponentials of the row before, in scratch memory. */
    final float[] copyOfPrevious(int count) {
        MemorySegment.copy(ScratchPool.MEMORY, ValueLayout.JAVA_FLOAT, previousAt(), spare, 0, count);
        return spare;
    }

    /** Whether the stage of exponentials is to find the maximum of what comes next. */
    final boolean looksAhead() {
        return nextAt != at;
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
        return hasPrevious ? outSegment : spareSegment;
    }

    /** Has a block for rows that are worked on together, as many as vectors of this width have lanes. */
    final void useBlock(int width) {
        if (block.width != width) {
            block = new SmallBlock(width);
        }
    }

    final void operands(FloatOperand logits, FloatOperand gradLogits, boolean wantsGradient) {
        nextMax = UNKNOWN;
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
     * @param scale what the exponentials in {@link #previousAt} are multiplied by
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
        lanes[lane] += value;
    }

    /** Folds all lanes from the highest bit of the lane number to the lowest. */
    final float fold() {
        for (int half = LANES / 2; half >= 1; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }

    /** The exponential that waits in the gradient's memory as this. */
    static float exponential(float waiting) {
        return Float.floatToRawIntBits(waiting) == Float.floatToRawIntBits(MAXIMUM) ? 1 : waiting;
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
