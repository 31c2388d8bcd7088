package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;

/** float32 to a 16-bit operand. Copied per type and kind of memory by {@link Specialized}. */
final class VectorNarrow implements NarrowCopy {
    private static final boolean F16 = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean TO_ARRAY = Specialized.flag(MethodHandles.lookup(), 1);

    /** Called through {@link Specialized}. */
    VectorNarrow() {}

    @Override
    public int width() {
        return VectorAccess.WIDTH;
    }

    @Override
    public void run(FloatOperand operand, long element, float[] floats, int at, int count) {
        short[] shorts = operand.shorts;
        MemorySegment segment = operand.segment;
        VectorAccess.require(!TO_ARRAY, segment);
        long to = operand.position(element);
        for (int i = 0; i < count; i += VectorAccess.WIDTH) {
            FloatVector x = FloatVector.fromArray(VectorMath.SPECIES, floats, at + i);
            store(shorts, segment, to, i, F16 ? NarrowLanes.narrowF16(x) : NarrowLanes.narrowBf16(x));
        }
    }

    @Override
    public void run(FloatOperand operand, long element, MemorySegment floats, long at, int count) {
        short[] shorts = operand.shorts;
        MemorySegment segment = operand.segment;
        VectorAccess.require(!TO_ARRAY, segment);
        VectorAccess.require(true, floats);
        long to = operand.position(element);
        for (int i = 0; i < count; i += VectorAccess.WIDTH) {
            FloatVector x = FloatVector.fromMemorySegment(VectorMath.SPECIES, floats, at + (long) i * Float.BYTES,
                    ByteOrder.nativeOrder());
            store(shorts, segment, to, i, F16 ? NarrowLanes.narrowF16(x) : NarrowLanes.narrowBf16(x));
        }
    }

    private static void store(short[] shorts, MemorySegment segment, long to, int i, ShortVector bits) {
        if (TO_ARRAY) {
            bits.intoArray(shorts, (int) to + i);
        } else {
            bits.intoMemorySegment(segment, to + (long) i * Short.BYTES, ByteOrder.nativeOrder());
        }
    }
}
