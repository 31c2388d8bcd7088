package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import dev.isobit.contract.NarrowOptimizerContract;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CpuNarrowOptimizerTest {
    private static final short F16_NAN = 0x7e00;

    private static Tensor f16(Arena arena, boolean isArray, short... bits) {
        MemorySegment array = MemorySegment.ofArray(bits.clone());
        return Tensor.of(DType.F16, isArray ? array : arena.allocate(array.byteSize(), 64).copyFrom(array),
                bits.length);
    }

    private static short[] bits(Tensor tensor) {
        return tensor.segment().toArray(ValueLayout.JAVA_SHORT_UNALIGNED);
    }

    private static short canonical(short f16) {
        return Float.isNaN(Float.float16ToFloat(f16)) ? F16_NAN : f16;
    }

    /** Each of them a parameter, which a learning rate of 0 leaves where it is, and a gradient. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void everyF16IsReadAndWritten(boolean isArray) {
        int count = 1 << 16;
        short[] all = new short[count];
        short[] expected = new short[count];
        float[] grads = new float[count];
        for (int i = 0; i < count; i++) {
            all[i] = (short) i;
            expected[i] = canonical(all[i]);
            grads[i] = Float.float16ToFloat(expected[i]);
        }
        try (Arena arena = Arena.ofShared(); Backend backend = cpu(1)) {
            Tensor zeros = f16(arena, isArray, new short[count]);
            Tensor sgdParam = f16(arena, isArray, all);
            try (Sgd sgd = Sgd.on(backend, SgdOptions.defaults().withLr(0),
                    List.of(SgdParameter.of("p", sgdParam, zeros)))) {
                sgd.step();
            }
            assertArrayEquals(expected, bits(sgdParam), "SGD's parameters");
            Tensor param = f16(arena, isArray, all);
            AdamOptions adamW = AdamOptions.adamW().withLr(0).withBetas(0, 0.5);
            try (Adam adam = Adam.on(backend, adamW, List.of(AdamParameter.of("p", param, zeros)))) {
                adam.step();
            }
            assertArrayEquals(expected, bits(param), "Adam's parameters");
            // With beta1 = 0 the first moment is the gradient, with a learning rate of 1 the parameter minus it.
            float[] expAvg = new float[count];
            float[] minus = new float[count];
            Tensor gradients = f16(arena, isArray, all);
            try (Adam adam = Adam.on(backend, adamW, List.of(new AdamParameter("p", zeros, gradients,
                    Tensor.of(expAvg, count), null)));
                    Sgd sgd = Sgd.on(backend, SgdOptions.defaults().withLr(1),
                            List.of(SgdParameter.of("p", Tensor.of(minus, count), gradients)))) {
                adam.step();
                sgd.step();
            }
            for (int i = 0; i < count; i++) {
                float grad = grads[i] == 0 ? 0 : grads[i];
                assertEquals(Float.floatToRawIntBits(grad), Float.floatToRawIntBits(expAvg[i]),
                        "gradient of Adam " + i);
                float difference = Float.isNaN(grad) ? Float.NaN : 0 - grad;
                assertEquals(Float.floatToRawIntBits(difference), Float.floatToRawIntBits(minus[i]),
                        "gradient of SGD " + i);
            }
        }
    }

    /** Masters at, beside and between all values of F16, and at the ends of float32's exponents. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void mastersAreRoundedToTheNearestF16(boolean isArray) {
        int values = 0x7c00;
        float[] masters = new float[2 * (6 * values + 256 * 6)];
        int at = 0;
        for (int i = 0; i < values + 256; i++) {
            float value = i < values ? Float.float16ToFloat((short) i) : Float.intBitsToFloat(i - values << 23);
            float next = i < values - 1 ? Float.float16ToFloat((short) (i + 1)) : 2 * value;
            float middle = i == values - 1 ? 65520 : (float) (((double) value + next) / 2);
            for (float each : new float[] {value, Math.nextUp(value), Math.nextDown(value), middle,
                Math.nextUp(middle), Math.nextDown(middle)}) {
                masters[at++] = each;
                masters[at++] = -each;
            }
        }
        short[] expected = new short[at];
        for (int i = 0; i < at; i++) {
            expected[i] = canonical(Float.floatToFloat16(masters[i]));
        }
        try (Arena arena = Arena.ofShared(); Backend backend = cpu(1)) {
            Tensor grad = f16(arena, isArray, new short[at]);
            Tensor ofSgd = f16(arena, isArray, new short[at]);
            Tensor ofAdam = f16(arena, isArray, new short[at]);
            try (Sgd sgd = Sgd.on(backend, SgdOptions.defaults().withLr(0),
                    List.of(SgdParameter.of("p", ofSgd, grad).withMaster(Tensor.of(masters.clone(), at))));
                    Adam adam = Adam.on(backend, AdamOptions.adamW().withLr(0),
                            List.of(AdamParameter.of("p", ofAdam, grad).withMaster(Tensor.of(masters.clone(), at))))) {
                sgd.step();
                adam.step();
            }
            assertArrayEquals(expected, bits(ofSgd), "SGD");
            assertArrayEquals(expected, bits(ofAdam), "Adam");
        }
    }

    private static Backend cpu(int threads) {
        return Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
    }

    @Nested
    class OneThread extends NarrowOptimizerContract {
        @Override
        protected Backend open() {
            return cpu(1);
        }
    }

    /** A number that divides nothing. */
    @Nested
    class ThreeThreads extends NarrowOptimizerContract {
        @Override
        protected Backend open() {
            return cpu(3);
        }
    }
}
