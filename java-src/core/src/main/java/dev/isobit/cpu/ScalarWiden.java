package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A 16-bit operand to float32 by scalar code: any memory, any JVM. */
final class ScalarWiden implements NarrowCopy {
    @Override
    public int width() {
        return 1;
    }

    @Override
    public void run(FloatOperand operand, long element, float[] floats, int at, int count) {
        for (int i = 0; i < count; i++) {
            floats[at + i] = operand.get(element + i);
        }
    }

    @Override
    public void run(FloatOperand operand, long element, MemorySegment floats, long at, int count) {
        for (int i = 0; i < count; i++) {
            floats.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at + (long) i * Float.BYTES, operand.get(element + i));
        }
    }
}
