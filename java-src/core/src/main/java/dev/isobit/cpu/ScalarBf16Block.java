package dev.isobit.cpu;

import dev.isobit.math.RoundingNoise;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** {@link Bf16Block} by scalar code: any memory, any JVM. */
final class ScalarBf16Block implements Bf16Block {
    @Override
    public int width() {
        return 1;
    }

    @Override
    public void join(FloatOperand remainders, long element, MemorySegment floats, int count) {
        join(remainders, element, floats, 0, count);
    }

    @Override
    public void split(FloatOperand remainders, long element, MemorySegment floats, int count) {
        split(remainders, element, floats, 0, count);
    }

    @Override
    public void round(MemorySegment floats, int count, long key, int element) {
        round(floats, 0, count, key, element);
    }

    /** Elements [from, to) of the block. */
    static void join(FloatOperand remainders, long element, MemorySegment floats, int from, int to) {
        for (int i = from; i < to; i++) {
            set(floats, i, bits(floats, i) + remainders.bits(element + i));
        }
    }

    /** Elements [from, to) of the block. */
    static void split(FloatOperand remainders, long element, MemorySegment floats, int from, int to) {
        for (int i = from; i < to; i++) {
            short remainder = (short) bits(floats, i);
            remainders.setBits(element + i, remainder);
            set(floats, i, bits(floats, i) - remainder);
        }
    }

    /** Elements [from, to) of the block. */
    static void round(MemorySegment floats, int from, int to, long key, int element) {
        for (int i = from; i < to; i++) {
            float x = Float.intBitsToFloat(bits(floats, i));
            set(floats, i, Float.floatToRawIntBits(RoundingNoise.round(x, RoundingNoise.of(key, element + i))));
        }
    }

    private static int bits(MemorySegment floats, int i) {
        return floats.get(ValueLayout.JAVA_INT_UNALIGNED, (long) i * Integer.BYTES);
    }

    private static void set(MemorySegment floats, int i, int bits) {
        floats.set(ValueLayout.JAVA_INT_UNALIGNED, (long) i * Integer.BYTES, bits);
    }
}
