package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;

/** Host tensors of F32, BF16 or F16 over arrays of their own. */
final class HostTensors {
    private HostTensors() {}

    /** Values, rounded to the type; of F32 a view of the array itself. */
    static Tensor of(DType dtype, float[] values, long... shape) {
        if (dtype == DType.F32) {
            return Tensor.of(values, shape);
        }
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = dtype == DType.F16 ? NarrowFloats.toF16(values[i]) : NarrowFloats.toBf16(values[i]);
        }
        return Tensor.of(dtype, MemorySegment.ofArray(bits), shape);
    }

    /** Values, as float32. */
    static float[] floats(Tensor tensor) {
        float[] values = new float[(int) tensor.elementCount()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) tensor.get(i);
        }
        return values;
    }

    /** Room, poisoned. */
    static Tensor room(DType dtype, long... shape) {
        int count = BceInputs.count(shape);
        MemorySegment all = dtype == DType.F32
                ? MemorySegment.ofArray(new float[count])
                : MemorySegment.ofArray(new short[count]);
        return Tensor.of(dtype, all.fill((byte) 0xa5), shape);
    }
}
