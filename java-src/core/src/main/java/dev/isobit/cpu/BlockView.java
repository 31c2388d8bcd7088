package dev.isobit.cpu;

import dev.isobit.spi.Broadcast;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A block of an operand, at most {@link SegmentWork#LANES} elements, as floats of an array: those of the operand's own
 * array where it has one, else a copy. So that kernels meet one kind of memory.
 */
final class BlockView {
    /** The longest row of an operand that repeats over and over of which a copy is kept. */
    private static final long LONGEST_REPEATED = 1 << 13;
    private static final FloatOperand NONE = new FloatOperand();
    /** Of {@link #kind}. */
    static final int KIND_BITS = 2;

    private final float[] copy = new float[SegmentWork.LANES];
    /** Such a row and, behind it, its repetition as far as a block reaches. */
    private float[] repeated = new float[0];
    private boolean hasRepeated;

    /** The elements, from {@link #at} on. */
    float[] array = copy;
    int at;

    /** The operand itself where the kernel reaches it, else an empty one. Set for a whole call. */
    FloatOperand direct = NONE;
    private long first;

    /** Lets the kernel reach an operand in native memory or of BF16 where it stands, without a copy; null: no longer. */
    void reach(@Nullable FloatOperand operand) {
        direct = operand == null ? NONE : operand;
    }

    /** What the kernel reads or writes: bit 0: native memory, else an array; bit 1: BF16, else floats. */
    int kind() {
        return direct == NONE ? 0 : (direct.isNarrow() ? 2 : 0) | (direct.shorts.length > 0 ? 0 : 1);
    }

    /** Where that begins: an index of the array, or a byte offset. */
    long position() {
        return direct == NONE ? at : direct.position(first);
    }

    float get(int i) {
        return direct == NONE ? array[at + i] : direct.get(first + i);
    }

    void set(int i, float value) {
        if (direct == NONE) {
            array[at + i] = value;
        } else {
            direct.set(first + i, value);
        }
    }

    /** Every element has this value. */
    void fill(float value) {
        array = copy;
        at = 0;
        Arrays.fill(copy, value);
    }

    /** Elements of an operand. */
    void read(FloatOperand operand, long first, int count) {
        place(operand, first);
        if (array == copy && direct == NONE) {
            operand.copyTo(copy, 0, first, count);
        }
    }

    /** Elements of an operand that is spread over a shape, of which the block is a part. */
    void read(FloatOperand operand, Broadcast broadcast, long first, int count) {
        if (broadcast.isFull()) {
            read(operand, first, count);
            return;
        }
        boolean rises = broadcast.runsRise();
        if (rises && broadcast.groups() == 1 && broadcast.size(0) <= LONGEST_REPEATED) {
            repeat(operand, (int) broadcast.size(0));
            at = (int) (first % broadcast.size(0));
            return;
        }
        array = copy;
        at = 0;
        for (int i = 0; i < count;) {
            long index = broadcast.index(first + i);
            int run = (int) Math.min(broadcast.run(first + i), count - i);
            if (rises) {
                operand.copyTo(copy, i, index, run);
            } else {
                Arrays.fill(copy, i, i + run, operand.get(index));
            }
            i += run;
        }
    }

    private void repeat(FloatOperand operand, int length) {
        if (!hasRepeated) {
            int reach = length + SegmentWork.LANES;
            repeated = repeated.length < reach ? new float[reach] : repeated;
            operand.copyTo(repeated, 0, 0, length);
            for (int i = length; i < reach; i++) {
                repeated[i] = repeated[i - length];
            }
            hasRepeated = true;
        }
        array = repeated;
    }

    /** Elements of a U8 operand. */
    void read(ByteOperand operand, Broadcast broadcast, long first, int count) {
        array = copy;
        at = 0;
        for (int i = 0; i < count;) {
            long index = broadcast.index(first + i);
            int run = (int) Math.min(broadcast.run(first + i), count - i);
            if (broadcast.isFull() || broadcast.runsRise()) {
                operand.copyTo(copy, i, index, run);
            } else {
                Arrays.fill(copy, i, i + run, operand.get(index));
            }
            i += run;
        }
    }

    /** Elements of a U8 operand that holds eight a byte. */
    void readBits(ByteOperand operand, long first, int count) {
        array = copy;
        at = 0;
        operand.copyBitsTo(copy, first, count);
    }

    /** Room for elements of an operand, which {@link #write} brings there. */
    void place(FloatOperand operand, long first) {
        this.first = first;
        boolean isArray = operand.kind == FloatOperand.Kind.ARRAY;
        array = isArray ? operand.array : copy;
        at = isArray ? (int) operand.position(first) : 0;
    }

    /** Sends what was written to the operand. */
    void write(FloatOperand operand, long first, int count) {
        if (array == copy && direct == NONE) {
            operand.copyFrom(copy, first, count);
        }
    }

    /** Drops the operand. */
    void clear() {
        array = copy;
        at = 0;
        hasRepeated = false;
    }
}
