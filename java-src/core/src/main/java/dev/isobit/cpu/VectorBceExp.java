package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;

/**
 * exp(-|x|) of a block's logits, of whole vectors alone; of NaN 0. Copied per {@link BlockView#kind} of the logits by
 * {@link Specialized}.
 */
final class VectorBceExp implements BceKernel {
    private static final boolean NATIVE = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean BF16 = Specialized.flag(MethodHandles.lookup(), 1);
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private static final float[] KEPT = VectorMath.table(1, ExactMath.EXP_ZERO_BELOW, ExactMath.LOG2E, VectorMath.MAGIC,
            -ExactMath.LN2_HI, -ExactMath.LN2_LO, ExactMath.EXP_C6 * VectorMath.SCALE,
            ExactMath.EXP_C5 * VectorMath.SCALE, ExactMath.EXP_C4 * VectorMath.SCALE,
            ExactMath.EXP_C3 * VectorMath.SCALE, ExactMath.EXP_C2 * VectorMath.SCALE, VectorMath.SCALE);

    /** Called through {@link Specialized}. */
    VectorBceExp() {}

    @Override
    public void run(BceBlock block, int from, int to) {
        float[] logits = block.logits.array;
        short[] shorts = block.logits.direct.shorts;
        MemorySegment segment = block.logits.direct.segment;
        long at = block.logits.position();
        float[] results = block.exp;
        VectorAccess.require(NATIVE, segment);
        FloatVector one = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 0 * VectorAccess.WIDTH);
        IntVector sign = one.mul(-0f).reinterpretAsInts();
        IntVector least = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 1 * VectorAccess.WIDTH).reinterpretAsInts();
        FloatVector log2e = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 2 * VectorAccess.WIDTH);
        FloatVector magic = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 3 * VectorAccess.WIDTH);
        FloatVector minusLn2Hi = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 4 * VectorAccess.WIDTH);
        FloatVector minusLn2Lo = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 5 * VectorAccess.WIDTH);
        FloatVector c6 = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 6 * VectorAccess.WIDTH);
        FloatVector c5 = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 7 * VectorAccess.WIDTH);
        FloatVector c4 = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 8 * VectorAccess.WIDTH);
        FloatVector c3 = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 9 * VectorAccess.WIDTH);
        FloatVector c2 = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 10 * VectorAccess.WIDTH);
        FloatVector c1 = FloatVector.fromArray(VectorMath.SPECIES, KEPT, 11 * VectorAccess.WIDTH);
        int end = from + VectorMath.SPECIES.loopBound(to - from);
        int step = VectorAccess.step();
        for (int i = from; i < end; i += step) {
            FloatVector x = BF16
                    ? ((IntVector) (NATIVE
                            ? ShortVector.fromMemorySegment(NarrowLanes.SHORTS, segment, at + 2L * i, ORDER)
                            : ShortVector.fromArray(NarrowLanes.SHORTS, shorts, (int) at + i))
                            .convertShape(VectorOperators.S2I, NarrowLanes.INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats()
                    : VectorAccess.load(!NATIVE, logits, segment, at, i);
            // As integers negative floats rise with their magnitude: all from -104 on, where e^x is 0, become -104.
            FloatVector d = x.reinterpretAsInts().or(sign).min(least).reinterpretAsFloats();
            FloatVector t = d.fma(log2e, magic);
            FloatVector n = t.sub(magic);
            FloatVector r = n.fma(minusLn2Hi, d).add(n.mul(minusLn2Lo));
            FloatVector p = c6.fma(r, c5).fma(r, c4).fma(r, c3).fma(r, c2).fma(r, c1).fma(r, c1);
            p.mul(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).intoArray(results, i);
        }
    }
}
