package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** {@link Bf16Block} by the Vector API. Copied per kind of the remainders' memory by {@link Specialized}. */
final class VectorBf16Block implements Bf16Block {
    private static final boolean ARRAY = Specialized.flag(MethodHandles.lookup(), 0);

    private static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, VectorMath.SPECIES.vectorShape());
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    /** Called through {@link Specialized}. */
    VectorBf16Block() {}

    @Override
    public int width() {
        return WIDTH;
    }

    @Override
    public void join(FloatOperand remainders, long element, MemorySegment floats, int count) {
        short[] shorts = remainders.shorts;
        MemorySegment segment = remainders.segment;
        VectorAccess.require(!ARRAY, segment);
        VectorAccess.require(true, floats);
        long at = remainders.position(element);
        for (int i = 0; i < count; i += WIDTH) {
            ShortVector narrow = ARRAY
                    ? ShortVector.fromArray(NarrowLanes.SHORTS, shorts, (int) at + i)
                    : ShortVector.fromMemorySegment(NarrowLanes.SHORTS, segment, at + (long) i * Short.BYTES, ORDER);
            IntVector remainder = (IntVector) narrow.convertShape(VectorOperators.S2I, INTS, 0);
            load(floats, i).add(remainder).intoMemorySegment(floats, (long) i * Integer.BYTES, ORDER);
        }
    }

    @Override
    public void split(FloatOperand remainders, long element, MemorySegment floats, int count) {
        short[] shorts = remainders.shorts;
        MemorySegment segment = remainders.segment;
        VectorAccess.require(!ARRAY, segment);
        VectorAccess.require(true, floats);
        long at = remainders.position(element);
        for (int i = 0; i < count; i += WIDTH) {
            IntVector bits = load(floats, i);
            ShortVector narrow = (ShortVector) bits.convertShape(VectorOperators.I2S, NarrowLanes.SHORTS, 0);
            if (ARRAY) {
                narrow.intoArray(shorts, (int) at + i);
            } else {
                narrow.intoMemorySegment(segment, at + (long) i * Short.BYTES, ORDER);
            }
            bits.sub((IntVector) narrow.convertShape(VectorOperators.S2I, INTS, 0)).intoMemorySegment(floats,
                    (long) i * Integer.BYTES, ORDER);
        }
    }

    @Override
    public void round(MemorySegment floats, int count, long key, int element) {
        VectorAccess.require(true, floats);
        IntVector first = IntVector.broadcast(INTS, (int) key);
        IntVector second = IntVector.broadcast(INTS, (int) (key >>> 32));
        IntVector index = IntVector.broadcast(INTS, element).addIndex(1);
        for (int i = 0; i < count; i += WIDTH) {
            IntVector noise = mix(mix(index.add(i).lanewise(VectorOperators.XOR, first))
                    .lanewise(VectorOperators.XOR, second)).lanewise(VectorOperators.LSHR, 16);
            load(floats, i).add(noise).and(0xffff0000).intoMemorySegment(floats, (long) i * Integer.BYTES, ORDER);
        }
    }

    private static IntVector mix(IntVector x) {
        x = x.lanewise(VectorOperators.XOR, x.lanewise(VectorOperators.LSHR, 16)).mul(0x85ebca6b);
        x = x.lanewise(VectorOperators.XOR, x.lanewise(VectorOperators.LSHR, 13)).mul(0xc2b2ae35);
        return x.lanewise(VectorOperators.XOR, x.lanewise(VectorOperators.LSHR, 16));
    }

    private static IntVector load(MemorySegment floats, int i) {
        return IntVector.fromMemorySegment(INTS, floats, (long) i * Integer.BYTES, ORDER);
    }
}
