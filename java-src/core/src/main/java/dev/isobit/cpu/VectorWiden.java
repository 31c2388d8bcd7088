package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.ShortVector;

/** A 16-bit operand to float32. Copied per type and kind of memory by {@link Specialized}. */
final class VectorWiden implements NarrowCopy {
    private static final boolean F16 = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean FROM_ARRAY = Specialized.flag(MethodHandles.lookup(), 1);

    /** Called through {@link Specialized}. */
    VectorWiden() {}

    @Override
    public int width() {
        return VectorAccess.WIDTH;
    }

    @Override
    public void run(FloatOperand operand, long element, float[] floats, int at, int count) {
        short[] shorts = operand.shorts;
        MemorySegment segment = operand.segment;
        VectorAccess.require(!FROM_ARRAY, segment);
        long from = operand.position(element);
        for (int i = 0; i < count; i += VectorAccess.WIDTH) {
            widen(load(shorts, segment, from, i)).intoArray(floats, at + i);
        }
    }

    @Override
    public void run(FloatOperand operand, long element, MemorySegment floats, long at, int count) {
        short[] shorts = operand.shorts;
        MemorySegment segment = operand.segment;
        VectorAccess.require(!FROM_ARRAY, segment);
        VectorAccess.require(true, floats);
        long from = operand.position(element);
        for (int i = 0; i < count; i += VectorAccess.WIDTH) {
            widen(load(shorts, segment, from, i)).intoMemorySegment(floats,
                    at + (long) i * Float.BYTES, ByteOrder.nativeOrder());
        }
    }

    private static FloatVector widen(ShortVector bits) {
        return F16 ? NarrowLanes.widenF16(bits) : NarrowLanes.widenBf16(bits);
    }

    private static ShortVector load(short[] shorts, MemorySegment segment, long from, int i) {
        return FROM_ARRAY
                ? ShortVector.fromArray(NarrowLanes.SHORTS, shorts, (int) from + i)
                : ShortVector.fromMemorySegment(NarrowLanes.SHORTS, segment, from + (long) i * Short.BYTES,
                        ByteOrder.nativeOrder());
    }
}
