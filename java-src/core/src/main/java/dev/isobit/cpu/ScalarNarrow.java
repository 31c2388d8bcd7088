package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** float32 to a 16-bit operand by scalar code: any memory, any JVM. */
final class ScalarNarrow implements NarrowCopy {
    @Override
    public int width() {
        return 1;
    }

    @Override
    public void run(FloatOperand operand, long element, float[] floats, int at, int count) {
        for (int i = 0; i < count; i++) {
            operand.set(element + i, floats[at + i]);
        }
    }

    @Override
    public void run(FloatOperand operand, long element, MemorySegment floats, long at, int count) {
        for (int i = 0; i < count; i++) {
            operand.set(element + i, floats.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + (long) i * Float.BYTES));
        }
    }
}
