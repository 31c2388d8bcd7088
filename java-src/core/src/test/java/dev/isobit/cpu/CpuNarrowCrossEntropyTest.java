package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.contract.CrossEntropyCase;
import dev.isobit.contract.CrossEntropyCase.Upstream;
import dev.isobit.contract.CrossEntropyCase.Wanted;
import dev.isobit.contract.LogitsKind;
import dev.isobit.contract.Rounded;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Logits of BF16 and F16: the results are those of the same values in F32, whose bits the contracts hold to the
 * definition, and the gradient is rounded once.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CpuNarrowCrossEntropyTest {
    private static final DType[] TYPES = {DType.BF16, DType.F16};

    private final Backend[] backends = new Backend[2];

    @BeforeAll
    void open() {
        backends[0] = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
        backends[1] = Backend.open("cpu", BackendOptions.defaults().withThreads(3));
    }

    @AfterAll
    void close() {
        for (Backend backend : backends) {
            backend.close();
        }
    }

    /** In an array, in native memory at an odd element, in an array of bytes. */
    private static Tensor narrow(DType dtype, float[] values, int place, long... shape) {
        short[] bits = new short[values.length];
        MemorySegment array = MemorySegment.ofArray(bits);
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Rounded.bits(dtype, values[i]);
        }
        MemorySegment memory = switch (place) {
            case 0 -> array;
            case 1 -> Arena.ofShared().allocate(array.byteSize() + 6, 64).asSlice(6).copyFrom(array);
            default -> MemorySegment.ofArray(new byte[(int) array.byteSize()]).copyFrom(array);
        };
        return Tensor.of(dtype, memory, shape);
    }

    private static float[] floats(Tensor tensor) {
        float[] values = new float[(int) tensor.elementCount()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) tensor.get(i);
        }
        return values;
    }

    private static void same(String what, float[] expected, float[] found) {
        for (int i = 0; i < expected.length; i++) {
            if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(found[i])) {
                fail(what + ": element " + i + " is " + found[i] + ", not " + expected[i]);
            }
        }
    }

    /** Rows of every length between the bounds of the vector code, batches that take several turns in scratch memory. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 10, 15, 16, 17, 33, 100, 1000, 1023, 1024, 1025, 8191, 8193, 16385, 50257})
    void theResultsOfF32Rounded(int classes) {
        SplittableRandom random = new SplittableRandom(classes);
        int compared = 0;
        for (LogitsKind kind : LogitsKind.values()) {
            int rows = 1 + random.nextInt(Math.max(2, Math.min(3000, 60_000 / classes)));
            DType dtype = TYPES[random.nextInt(2)];
            float[] logits = new CrossEntropyCase(rows, classes, kind, Reduction.NONE, -100, DType.I64,
                    Upstream.ABSENT, Wanted.BOTH, classes).logits();
            long[] targets = new long[rows];
            for (int i = 0; i < rows; i++) {
                targets[i] = random.nextInt(9) == 0
                        ? CrossEntropyOptions.DEFAULT_IGNORE_INDEX
                        : random.nextInt(classes);
            }
            logits = Rounded.to(dtype, logits);
            Reduction reduction = Reduction.values()[random.nextInt(3)];
            boolean general = random.nextInt(3) == 0;
            var options = CrossEntropyOptions.defaults().withReduction(reduction);
            options = general ? options.withLabelSmoothing(0.1).withSoftcap(30) : options;
            long[] lossShape = reduction == Reduction.NONE ? new long[] {rows} : new long[0];
            float[] loss = new float[reduction == Reduction.NONE ? rows : 1];
            float[] gradient = new float[logits.length];
            Tensor indices = Tensor.of(targets, rows);
            int place = random.nextInt(3);
            Tensor of16 = narrow(dtype, logits, place, rows, classes);
            Tensor gradientOf16 =
                    random.nextInt(3) == 0 ? of16 : narrow(dtype, new float[logits.length], place, rows, classes);
            float[] lossAlone = new float[loss.length];
            float[] lossOf16 = new float[loss.length];
            Backend backend = backends[random.nextInt(2)];
            try (CrossEntropy op = CrossEntropy.on(backend, options)) {
                op.lossAndGradient(Tensor.of(logits, rows, classes), indices, Tensor.of(loss, lossShape),
                        Tensor.of(gradient, rows, classes));
                op.loss(of16, indices, Tensor.of(lossAlone, lossShape));
                op.lossAndGradient(of16, indices, Tensor.of(lossOf16, lossShape), gradientOf16);
            }
            String what = dtype + " " + rows + "x" + classes + " " + kind + " " + options + " place " + place;
            same(what + " loss alone", loss, lossAlone);
            same(what + " loss", loss, lossOf16);
            same(what + " gradient", Rounded.to(dtype, gradient), floats(gradientOf16));
            compared += gradient.length;
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Probabilities of the type of the logits; classes that are not the innermost axis; a gradient that is added. */
    @Test
    void everyOperandOfThatType() {
        SplittableRandom random = new SplittableRandom(3);
        for (DType dtype : TYPES) {
            float[] logits = new float[4 * 7 * 5];
            float[] probabilities = new float[logits.length];
            float[] before = new float[logits.length];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) random.nextGaussian();
                probabilities[i] = random.nextFloat();
                before[i] = (float) random.nextGaussian();
            }
            logits = Rounded.to(dtype, logits);
            probabilities = Rounded.to(dtype, probabilities);
            before = Rounded.to(dtype, before);
            long[] shape = {4, 7, 5};
            Tensor gradient = narrow(dtype, before, 0, shape);
            float[] loss = new float[1];
            float[] lossOf16 = new float[1];
            try (CrossEntropy op =
                    CrossEntropy.on(backends[0], CrossEntropyOptions.defaults().withAccumulate(true))) {
                op.lossAndGradient(
                        CrossEntropyOperands.of(Tensor.of(logits, shape), Tensor.of(probabilities, shape)),
                        Tensor.of(loss), Tensor.of(before, shape));
                op.lossAndGradient(CrossEntropyOperands.of(narrow(dtype, logits, 1, shape),
                        narrow(dtype, probabilities, 2, shape)), Tensor.of(lossOf16), gradient);
            }
            same("loss", loss, lossOf16);
            same("gradient", Rounded.to(dtype, before), floats(gradient));
        }
    }

    /**
     * Gradients of 16 bits of every size: none that is a normal number, many that are no normal one or too large, negative
     * upstream factors, and one that is not finite.
     */
    @ParameterizedTest
    @ValueSource(ints = {100, 1000, 1025, 8200})
    void gradientsOfEverySize(int classes) {
        SplittableRandom random = new SplittableRandom(classes);
        float[] upstreams = {1, -1, 1e-3f, 1e-6f, -1e-6f, 6.1e-5f, 1e5f, -3e6f, 1e38f, 0, -0f, Float.POSITIVE_INFINITY};
        for (DType dtype : TYPES) {
            int rows = upstreams.length;
            float[] logits = new float[rows * classes];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) (3 * random.nextGaussian());
            }
            logits = Rounded.to(dtype, logits);
            float[] gradient = new float[logits.length];
            Tensor targets = Tensor.of(new long[rows], rows);
            Tensor of16 = narrow(dtype, logits, 0, rows, classes);
            try (CrossEntropy op = CrossEntropy.on(backends[0],
                    CrossEntropyOptions.defaults().withReduction(Reduction.NONE))) {
                op.gradient(Tensor.of(logits, rows, classes), targets, Tensor.of(upstreams, rows),
                        Tensor.of(gradient, rows, classes));
                op.gradient(of16, targets, Tensor.of(upstreams, rows), of16);
            }
            same(dtype + " of " + classes, Rounded.to(dtype, gradient), floats(of16));
        }
    }

    /** As a float each of these is one of the next exponent, unless care is taken: infinities and NaN of F16. */
    @ParameterizedTest
    @ValueSource(ints = {1025, 8193, 16_390})
    void infinitiesBesideTheLowestF16(int classes) {
        float lowest = -65504;
        for (float max : new float[] {lowest, -65472, -33000, -32768, -32000, 0, 65504}) {
            for (int kind = 0; kind < 4; kind++) {
                float other = new float[] {Float.NEGATIVE_INFINITY, lowest, Float.NaN, Float.NaN}[kind];
                boolean positive = kind == 3;
                float[] logits = new float[2 * classes];
                Arrays.fill(logits, max);
                for (int i = classes / 2; i < logits.length; i += 37) {
                    logits[i] = other;
                }
                float[] loss = new float[2];
                float[] lossOf16 = new float[2];
                float[] gradient = new float[logits.length];
                Tensor targets = Tensor.of(new long[2], 2);
                short[] bits = new short[logits.length];
                for (int i = 0; i < bits.length; i++) {
                    // Not the NaN that is stored, but those with most and least bits, of either sign.
                    bits[i] = logits[i] == logits[i]
                            ? Rounded.bits(DType.F16, logits[i])
                            : new short[] {(short) 0xffff, (short) 0xfc01, 0x7c01}[positive ? 2 : i % 2];
                }
                Tensor of16 = Tensor.of(DType.F16, MemorySegment.ofArray(bits), 2, classes);
                // So large that nothing but 0 is 0 as F16.
                Tensor upstream = Tensor.of(new float[] {1e30f, 1e30f}, 2);
                var options = CrossEntropyOptions.defaults().withReduction(Reduction.NONE);
                // Each by itself: a segment with many elements that need care has the next ones treated so from the start.
                try (CrossEntropy op = CrossEntropy.on(backends[0], options)) {
                    op.lossAndGradient(Tensor.of(logits, 2, classes), targets, upstream, Tensor.of(loss, 2),
                            Tensor.of(gradient, 2, classes));
                }
                try (CrossEntropy op = CrossEntropy.on(backends[0], options)) {
                    op.lossAndGradient(of16, targets, upstream, Tensor.of(lossOf16, 2), of16);
                }
                String what = other + " beside " + max;
                same(what, loss, lossOf16);
                same(what, Rounded.to(DType.F16, gradient), floats(of16));
            }
        }
    }

    /**
     * So many gradients that some lie half way between two BF16, or a unit in the last place of a float beside that: on the
     * even and on the odd side.
     */
    @ParameterizedTest
    @CsvSource({"128, 1000, 16", "32, 4096, 16"})
    void gradientsHalfWayBetweenTwo(int rows, int classes, int batches) {
        int[] decisive = new int[4];
        for (int batch = 0; batch < batches; batch++) {
            SplittableRandom random = new SplittableRandom(batch);
            float[] logits = new float[rows * classes];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) (2 * random.nextGaussian());
            }
            logits = Rounded.to(DType.BF16, logits);
            float[] gradient = new float[logits.length];
            Tensor targets = Tensor.of(new long[rows], rows);
            Tensor of16 = narrow(DType.BF16, logits, 1, rows, classes);
            try (CrossEntropy op = CrossEntropy.on(backends[0], CrossEntropyOptions.defaults())) {
                op.gradient(Tensor.of(logits, rows, classes), targets, Tensor.of(gradient, rows, classes));
                op.gradient(of16, targets, of16);
            }
            for (float g : gradient) {
                int bits = Float.floatToRawIntBits(g);
                int odd = bits >>> 16 & 1;
                int rest = bits & 0xffff;
                if (rest >= 0x8000 - odd && rest <= 0x8001 - odd) {
                    decisive[2 * odd + rest - 0x8000 + odd]++;
                }
            }
            same("batch " + batch, Rounded.to(DType.BF16, gradient), floats(of16));
        }
        for (int found : decisive) {
            assertTrue(found > 0, "the inputs decide nothing: " + Arrays.toString(decisive));
        }
    }

    /** Promise 2: the nearest BF16 or F16 in 99.9 % of the gradients, and never but a neighbour of it. */
    @Test
    void gradientsAreTheNearest() {
        for (DType dtype : TYPES) {
            long compared = 0;
            long nearest = 0;
            for (int classes : new int[] {2, 10, 33, 1000, 1025, 8193, 32_000}) {
                int rows = classes < 100 ? 100 : 3;
                SplittableRandom random = new SplittableRandom(classes);
                float[] logits = new float[rows * classes];
                for (int i = 0; i < logits.length; i++) {
                    logits[i] = (float) (3 * random.nextGaussian());
                }
                logits = Rounded.to(dtype, logits);
                Tensor targets = Tensor.of(new int[rows], rows);
                double[] exact = new double[logits.length];
                Tensor found = narrow(dtype, logits, 0, rows, classes);
                var options = CrossEntropyOptions.defaults().withReduction(Reduction.SUM);
                try (Backend reference = Backend.open("reference");
                        CrossEntropy there = CrossEntropy.on(reference, options);
                        CrossEntropy here = CrossEntropy.on(backends[1], options)) {
                    there.gradient(Tensor.of(logits, rows, classes), targets, Tensor.of(exact, rows, classes));
                    here.gradient(found, targets, found);
                }
                for (int i = 0; i < exact.length; i++) {
                    int off = Rounded.distance(dtype, exact[i], (float) found.get(i));
                    assertTrue(off <= 1, dtype + " " + found.get(i) + " is not " + exact[i]);
                    nearest += off == 0 ? 1 : 0;
                    compared++;
                }
            }
            assertTrue(nearest >= 0.999 * compared, nearest + " of " + compared + " are the nearest");
        }
    }
}
