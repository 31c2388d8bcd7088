package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * A 16-bit operand to float32. Copied per type and kind of memory by {@link Specialized}. BF16 is written out in both loops: a
 * method that the JIT finds rarely used when it compiles the loop is not inlined, and vectors are boxed from then on.
 */
final class VectorWiden implements NarrowCopy {
    private static final boolean F16 = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean FROM_ARRAY = Specialized.flag(MethodHandles.lookup(), 1);
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

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
            ShortVector bits = FROM_ARRAY
                    ? ShortVector.fromArray(NarrowLanes.SHORTS, shorts, (int) from + i)
                    : ShortVector.fromMemorySegment(NarrowLanes.SHORTS, segment, from + (long) i * Short.BYTES, ORDER);
            FloatVector x = F16
                    ? NarrowLanes.widenF16(bits)
                    : ((IntVector) bits.convertShape(VectorOperators.S2I, NarrowLanes.INTS, 0))
                            .lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            x.intoArray(floats, at + i);
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
            ShortVector bits = FROM_ARRAY
                    ? ShortVector.fromArray(NarrowLanes.SHORTS, shorts, (int) from + i)
                    : ShortVector.fromMemorySegment(NarrowLanes.SHORTS, segment, from + (long) i * Short.BYTES, ORDER);
            FloatVector x = F16
                    ? NarrowLanes.widenF16(bits)
                    : ((IntVector) bits.convertShape(VectorOperators.S2I, NarrowLanes.INTS, 0))
                            .lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            x.intoMemorySegment(floats, at + (long) i * Float.BYTES, ORDER);
        }
    }
}
