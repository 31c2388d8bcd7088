package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.contract.AdamArrays;
import dev.isobit.contract.Bits;
import dev.isobit.contract.Rounded;
import dev.isobit.math.NarrowFloats;
import dev.isobit.spi.AdamScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Large parameters are updated in one loop or in three, whichever is faster: the bits of the definition both ways. */
class CpuLargeAdamTest {
    private static final AdamOptions ADAM_W = AdamOptions.adamW().withLr(0.02);

    private static Tensor tensor(boolean nativeMemory, float[] values) {
        return nativeMemory
                ? Tensor.of(DType.F32, Arena.ofAuto().allocate(4L * values.length, 64)
                        .copyFrom(MemorySegment.ofArray(values)), values.length)
                : Tensor.of(values.clone(), values.length);
    }

    private static float[][] all(AdamArrays arrays) {
        return new float[][] {arrays.param(), arrays.grad(), arrays.expAvg(), arrays.expAvgSq(), arrays.maxExpAvgSq()};
    }

    private static List<Tensor> tensors(boolean nativeMemory, AdamArrays arrays) {
        List<Tensor> tensors = new ArrayList<>();
        for (float[] values : all(arrays)) {
            tensors.add(tensor(nativeMemory, values));
        }
        return tensors;
    }

    private static AdamParameter parameter(List<Tensor> t, boolean amsgrad) {
        return new AdamParameter("p", t.get(0), t.get(1), t.get(2), t.get(3), amsgrad ? t.get(4) : null);
    }

    private static void compare(String what, AdamArrays expected, List<Tensor> found) {
        long compared = 0;
        for (int role = 0; role < 5; role++) {
            Tensor t = found.get(role);
            compared += Bits.assertSame(what + ", operand " + role, all(expected)[role],
                    t.segment().toArray(ValueLayout.JAVA_FLOAT));
        }
        assertEquals(5L * expected.param().length, compared);
    }

    /** Around the length of a stage; options that change each of the loops. */
    @ParameterizedTest
    @EnumSource(AdamArrays.Kind.class)
    void inThreeLoops(AdamArrays.Kind kind) {
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(1))) {
            CpuKernels kernels = ((CpuBackend) backend).kernels();
            for (AdamOptions options : List.of(ADAM_W, ADAM_W.withAmsgrad(true).withMaximize(true),
                    AdamOptions.adam().withWeightDecay(0.1), AdamOptions.adam().withAmsgrad(true))) {
                for (int size : new int[] {16, 496, 512, 528, 1600}) {
                    for (boolean nativeMemory : new boolean[] {false, true}) {
                        AdamArrays arrays = AdamArrays.of(kind, size, new SplittableRandom(size));
                        List<Tensor> tensors = tensors(nativeMemory, arrays);
                        AdamOperands operands =
                                new AdamOperands(parameter(tensors, options.amsgrad()), 0, options, 0, kernels);
                        for (long step = 1; step <= 2; step++) {
                            AdamScalars scalars = new AdamScalars();
                            scalars.set(options, options.lr(), step);
                            operands.staged.run(operands, 0, size, scalars);
                            arrays.step(options, options.lr(), step);
                        }
                        compare(options + ", size " + size + ", native " + nativeMemory, arrays, tensors);
                    }
                }
            }
        }
    }

    /** Steps go by turns. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void byTurns(boolean nativeMemory) {
        AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, (1 << 22) + 37, new SplittableRandom(1));
        List<Tensor> tensors = tensors(nativeMemory, arrays);
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(2));
                Adam adam = Adam.on(backend, ADAM_W, List.of(parameter(tensors, false)))) {
            for (int step = 1; step <= 4; step++) {
                adam.step();
                arrays.step(ADAM_W, ADAM_W.lr(), step);
            }
        }
        compare("native " + nativeMemory, arrays, tensors);
    }

    private static Tensor bf16(boolean nativeMemory, float[] values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Rounded.bits(DType.BF16, values[i]);
        }
        MemorySegment segment = MemorySegment.ofArray(bits);
        return Tensor.of(DType.BF16,
                nativeMemory ? Arena.ofAuto().allocate(2L * bits.length, 64).copyFrom(segment) : segment, bits.length);
    }

    private static void round(AdamArrays arrays) {
        for (float[] values : all(arrays)) {
            System.arraycopy(Rounded.to(DType.BF16, values), 0, values, 0, values.length);
        }
    }

    /** All of BF16, rounded after each step. */
    private static void ofBf16(AdamArrays.Kind kind, int size, AdamOptions options, boolean nativeMemory, int threads) {
        AdamArrays arrays = AdamArrays.of(kind, size, new SplittableRandom(size));
        round(arrays);
        List<Tensor> tensors = new ArrayList<>();
        for (float[] values : all(arrays)) {
            tensors.add(bf16(nativeMemory, values));
        }
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
                Adam adam = Adam.on(backend, options, List.of(parameter(tensors, options.amsgrad())))) {
            for (int step = 1; step <= 2; step++) {
                adam.step();
                arrays.step(options, options.lr(), step);
                round(arrays);
            }
        }
        for (int role = 0; role < 5; role++) {
            float[] found = new float[size];
            for (int i = 0; i < size; i++) {
                found[i] = NarrowFloats.fromBf16(tensors.get(role).segment().getAtIndex(ValueLayout.JAVA_SHORT, i));
            }
            assertEquals(size, Bits.assertSame(kind + " " + size + " " + options + ", native " + nativeMemory
                    + ", operand " + role, all(arrays)[role], found));
        }
    }

    @ParameterizedTest
    @EnumSource(AdamArrays.Kind.class)
    void ofBf16(AdamArrays.Kind kind) {
        for (AdamOptions options : List.of(ADAM_W, ADAM_W.withMaximize(true), AdamOptions.adam().withWeightDecay(0.1),
                ADAM_W.withAmsgrad(true))) {
            for (int size : new int[] {8, 31, 32, 33, 2047, 2048, 2049, 4211}) {
                ofBf16(kind, size, options, false, 1);
                ofBf16(kind, size, options, true, 1);
            }
        }
    }

    /** More than a cache holds: pages are read ahead. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void muchOfBf16(boolean nativeMemory) {
        ofBf16(AdamArrays.Kind.NORMAL, (1 << 22) + (nativeMemory ? 0 : 37), ADAM_W, nativeMemory, 2);
    }

    /** Whether call {@code i} went the second way, which takes 0.3 ms or nothing, the first way the other of both. */
    private static boolean call(Trial trial, boolean secondIsSlow) throws InterruptedException {
        boolean isSecond = trial.begin();
        if (isSecond == secondIsSlow) {
            Thread.sleep(0, 300_000);
        }
        trial.end();
        return isSecond;
    }

    @Test
    void aTrialTakesTheFasterWay() throws InterruptedException {
        for (boolean secondIsSlow : new boolean[] {false, true}) {
            Trial trial = new Trial();
            for (int i = 0; i < Trial.TURNS; i++) {
                assertEquals(i % 2 == 1, call(trial, secondIsSlow), "turn " + i);
            }
            for (int i = Trial.TURNS; i < 3 * Trial.AGAIN; i++) {
                assertEquals(secondIsSlow == (i % Trial.AGAIN == 0), call(trial, secondIsSlow), "call " + i);
            }
        }
    }

    @Test
    void aTrialNoticesWhatBecameFaster() throws InterruptedException {
        Trial trial = new Trial();
        for (int i = 0; i < Trial.AGAIN; i++) {
            boolean isSecond = trial.begin();
            Thread.sleep(0, isSecond ? 600_000 : 300_000);
            trial.end();
        }
        // Compiled by now, say: the one call of 64 shows it.
        call(trial, false);
        for (int i = 1; i < Trial.AGAIN; i++) {
            assertTrue(call(trial, false), "call " + i + " after it");
        }
    }
}
