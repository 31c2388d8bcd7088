package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Adam and AdamW where kernels run: parameters and moments have the cpu backend's bits after several steps. */
abstract class AdamContract {
    private static final int STEPS = 3;

    static Stream<Arguments> variants() {
        // One element, both sides of a vector, of a chunk, of several chunks; nothing between.
        long[] edges = {1, 2, 3, 4, 5, 31, 0, 32, 33, 2047, 2048, 2049, 4096, 5000};
        long[] many = new Random(5).longs(300, 0, 40).toArray();
        return Stream.of(Arguments.of("AdamW", AdamOptions.adamW(), edges),
                Arguments.of("AdamW without decay", AdamOptions.adamW().withWeightDecay(0), edges),
                Arguments.of("Adam", AdamOptions.adam(), edges),
                Arguments.of("Adam with decay", AdamOptions.adam().withWeightDecay(0.3), edges),
                Arguments.of("maximize", AdamOptions.adam().withWeightDecay(0.1).withMaximize(true), edges),
                Arguments.of("many small tensors", AdamOptions.adamW().withBetas(0.8, 0.9).withLr(0.7), many),
                Arguments.of("no eps", AdamOptions.adamW().withEps(0), edges),
                Arguments.of("no tensors", AdamOptions.adamW(), new long[0]));
    }

    private static float[][] values(Random random, long size) {
        float[][] values = new float[4][(int) size];
        for (int i = 0; i < size; i++) {
            values[0][i] = (float) random.nextGaussian();
            values[1][i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(12) - 6));
            values[2][i] = (float) random.nextGaussian() * 0.1f;
            values[3][i] = random.nextFloat() * 0.1f;
            switch (random.nextInt(60)) {
                case 0 -> values[1][i] = Float.NaN;
                case 1 -> values[1][i] = Float.NEGATIVE_INFINITY;
                case 2 -> values[1][i] = 0;
                case 3 -> values[3][i] = 0;
                case 4 -> values[1][i] = Float.MIN_VALUE;
                case 5 -> values[0][i] = -0f;
                default -> {
                }
            }
        }
        return values;
    }

    private static Tensor device(Backend cuda, List<Memory> memories, float[] values, long misaligned) {
        Memory memory = cuda.allocate(misaligned + 4L * values.length);
        memories.add(memory);
        Tensor tensor = Tensor.of(DType.F32, memory, misaligned, values.length);
        cuda.copy(Tensor.of(values, values.length), tensor);
        return tensor;
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("variants")
    void theCpusBits(String name, AdamOptions options, long[] sizes) {
        for (int alignment = 0; alignment < 3; alignment++) {
            Random random = new Random(7);
            List<float[][]> host = new ArrayList<>();
            List<AdamParameter> onHost = new ArrayList<>();
            List<AdamParameter> onDevice = new ArrayList<>();
            List<Memory> memories = new ArrayList<>();
            try (Backend cuda = Backend.open("cuda"); Backend cpu = Backend.open("cpu")) {
                for (long size : sizes) {
                    float[][] v = values(random, size);
                    host.add(v);
                    onHost.add(new AdamParameter("p" + host.size(), Tensor.of(v[0], size), Tensor.of(v[1], size),
                            Tensor.of(v[2], size), Tensor.of(v[3], size)));
                    // All aligned; all off by the same; each off by something else.
                    long[] off = alignment == 0
                            ? new long[] {0, 0, 0, 0}
                            : alignment == 1 ? new long[] {4, 4, 4, 4} : new long[] {0, 4, 8, 12};
                    onDevice.add(new AdamParameter("p" + host.size(), device(cuda, memories, v[0], off[0]),
                            device(cuda, memories, v[1], off[1]), device(cuda, memories, v[2], off[2]),
                            device(cuda, memories, v[3], off[3])));
                }
                try (Adam first = Adam.on(cpu, options, onHost); Adam second = Adam.on(cuda, options, onDevice)) {
                    for (int step = 0; step < STEPS; step++) {
                        first.step();
                        second.step();
                    }
                }
                for (int i = 0; i < sizes.length; i++) {
                    AdamParameter p = onDevice.get(i);
                    Tensor[] tensors = {p.param(), p.grad(), p.expAvg(), p.expAvgSq()};
                    for (int k = 0; k < 4; k++) {
                        float[] found = new float[(int) sizes[i]];
                        cuda.copy(tensors[k], Tensor.of(found, sizes[i]));
                        assertArrayEquals(bits(host.get(i)[k]), bits(found),
                                name + ", tensor " + i + " of " + sizes[i] + ", operand " + k + ", alignment "
                                        + alignment);
                    }
                }
                memories.forEach(Memory::close);
            }
        }
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }
}
