package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import dev.isobit.math.NarrowInputs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Copies of 16-bit operands have the bits of the scalar definition, from and to every kind of memory. */
class NarrowCopyTest {
    private static final short GUARD = 0x1234;

    enum Place {
        ARRAY, NATIVE, BYTES
    }

    private static short narrow(DType dtype, float x) {
        return dtype == DType.F16 ? NarrowFloats.toF16(x) : NarrowFloats.toBf16(x);
    }

    private static float widen(DType dtype, short bits) {
        return dtype == DType.F16 ? NarrowFloats.fromF16(bits) : NarrowFloats.fromBf16(bits);
    }

    /** Room for elements between two guards. */
    private static FloatOperand operand(DType dtype, Place place, int count) {
        MemorySegment memory = switch (place) {
            case ARRAY -> MemorySegment.ofArray(new short[count + 2]);
            case NATIVE -> Arena.ofAuto().allocate(2L * count + 4, 2);
            case BYTES -> MemorySegment.ofArray(new byte[2 * count + 4]);
        };
        for (int i = 0; i < count + 2; i++) {
            memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, GUARD);
        }
        var operand = new FloatOperand();
        operand.set(Tensor.of(dtype, HostMemory.of(memory), 2, count), CpuPath.chosen().kernels());
        return operand;
    }

    private static short[] bits(FloatOperand operand, int count) {
        short[] bits = new short[count + 2];
        MemorySegment.copy(operand.segment, ValueLayout.JAVA_SHORT_UNALIGNED, 0, bits, 0, count + 2);
        return bits;
    }

    @ParameterizedTest
    @CsvSource({"BF16, ARRAY", "BF16, NATIVE", "BF16, BYTES", "F16, ARRAY", "F16, NATIVE", "F16, BYTES"})
    void narrowsAndWidens(DType dtype, Place place) {
        float[] inputs = NarrowInputs.of(dtype == DType.F16);
        int count = inputs.length;
        FloatOperand operand = operand(dtype, place, count);
        operand.copyFrom(inputs, 0, count);
        short[] narrowed = bits(operand, count);
        for (int i = 0; i < count; i++) {
            if (narrow(dtype, inputs[i]) != narrowed[i + 1]) {
                fail("%a is %04x, not %04x".formatted(inputs[i], narrowed[i + 1], narrow(dtype, inputs[i])));
            }
        }
        assertEquals(GUARD, narrowed[0]);
        assertEquals(GUARD, narrowed[count + 1]);

        MemorySegment floats = Arena.ofAuto().allocate(4L * count + 4).asSlice(4);
        MemorySegment.copy(inputs, 0, floats, ValueLayout.JAVA_FLOAT_UNALIGNED, 0, count);
        FloatOperand fromNative = operand(dtype, place, count);
        fromNative.narrow(0, floats, 0, count);
        assertArrayEquals(narrowed, bits(fromNative, count));

        float[] widened = new float[count + 1];
        operand.copyTo(widened, 1, 0, count);
        operand.widen(0, floats, 0, count);
        for (int i = 0; i < count; i++) {
            int expected = Float.floatToIntBits(widen(dtype, narrowed[i + 1]));
            assertEquals(expected, Float.floatToIntBits(widened[i + 1]));
            assertEquals(expected, Float.floatToIntBits(floats.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i)));
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void widensAllPatterns(DType dtype) {
        for (Place place : Place.values()) {
            FloatOperand operand = operand(dtype, place, 1 << 16);
            for (int i = 0; i < 1 << 16; i++) {
                operand.segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i + 2, (short) i);
            }
            float[] widened = new float[1 << 16];
            operand.copyTo(widened, 0, 0, 1 << 16);
            for (int i = 0; i < 1 << 16; i++) {
                assertEquals(Float.floatToIntBits(widen(dtype, (short) i)), Float.floatToIntBits(widened[i]));
            }
        }
    }

    /** Every remainder, at an offset. */
    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void writesWhatItIsTold(DType dtype) {
        float[] ones = new float[200];
        java.util.Arrays.fill(ones, 1);
        for (Place place : Place.values()) {
            for (int count = 0; count < 70; count++) {
                FloatOperand operand = operand(dtype, place, 100);
                operand.copyFrom(ones, 7, count);
                short[] bits = bits(operand, 100);
                for (int i = 0; i < bits.length; i++) {
                    assertEquals(i >= 8 && i < 8 + count ? narrow(dtype, 1) : GUARD, bits[i], place + " " + count);
                }
                float[] read = new float[200];
                operand.copyTo(read, 3, 7, count);
                for (int i = 0; i < read.length; i++) {
                    assertEquals(i >= 3 && i < 3 + count ? 1 : 0, read[i], place + " " + count);
                }
            }
        }
    }
}
