package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
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
                Arguments.of("amsgrad", AdamOptions.adamW().withAmsgrad(true), edges),
                Arguments.of("amsgrad, maximize", AdamOptions.adam().withWeightDecay(0.1).withAmsgrad(true)
                        .withMaximize(true), edges),
                Arguments.of("Apex", AdamOptions.adamW().withSemantics(AdamSemantics.APEX), edges),
                Arguments.of("Keras", AdamOptions.adamW().withSemantics(AdamSemantics.KERAS), edges),
                Arguments.of("ONNX", AdamOptions.adamW().withSemantics(AdamSemantics.ONNX), edges),
                Arguments.of("HF", AdamOptions.adamW().withSemantics(AdamSemantics.HF), edges),
                Arguments.of("no tensors", AdamOptions.adamW(), new long[0]));
    }

    private static float[][] values(Random random, long size) {
        float[][] values = new float[5][(int) size];
        for (int i = 0; i < size; i++) {
            values[0][i] = (float) random.nextGaussian();
            values[1][i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(12) - 6));
            values[2][i] = (float) random.nextGaussian() * 0.1f;
            values[3][i] = random.nextFloat() * 0.1f;
            values[4][i] = random.nextFloat() * 0.1f;
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
                    // All aligned; all off by the same; each off by something else.
                    long[] off = alignment == 0
                            ? new long[] {0, 0, 0, 0, 0}
                            : alignment == 1 ? new long[] {4, 4, 4, 4, 4} : new long[] {0, 4, 8, 12, 8};
                    Tensor[] there = new Tensor[5];
                    Tensor[] here = new Tensor[5];
                    for (int k = 0; k < 5; k++) {
                        boolean used = k < 4 || options.amsgrad();
                        there[k] = used ? device(cuda, memories, v[k], off[k]) : null;
                        here[k] = used ? Tensor.of(v[k], size) : null;
                    }
                    String p = "p" + host.size();
                    onHost.add(new AdamParameter(p, here[0], here[1], here[2], here[3], here[4]));
                    onDevice.add(new AdamParameter(p, there[0], there[1], there[2], there[3], there[4]));
                }
                try (Adam first = Adam.on(cpu, options, onHost); Adam second = Adam.on(cuda, options, onDevice)) {
                    for (int step = 0; step < STEPS; step++) {
                        first.step();
                        second.step();
                    }
                }
                for (int i = 0; i < sizes.length; i++) {
                    AdamParameter p = onDevice.get(i);
                    Tensor[] tensors = {p.param(), p.grad(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()};
                    for (int k = 0; k < (options.amsgrad() ? 5 : 4); k++) {
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

    /** More groups than a launch has, each with something of its own, some disabled for a while. */
    @Test
    void groups() {
        Random random = new Random(4);
        List<AdamOptions> options = List.of(AdamOptions.adamW(), AdamOptions.adam().withWeightDecay(0.1),
                AdamOptions.adamW().withBetas(0.5, 0.8).withEps(0.1), AdamOptions.adam().withMaximize(true),
                AdamOptions.adamW().withSemantics(AdamSemantics.ONNX));
        List<AdamGroup> onHost = new ArrayList<>();
        List<AdamGroup> onDevice = new ArrayList<>();
        List<Memory> memories = new ArrayList<>();
        try (Backend cuda = Backend.open("cuda"); Backend cpu = Backend.open("cpu")) {
            for (int g = 0; g < 130; g++) {
                List<AdamParameter> here = new ArrayList<>();
                List<AdamParameter> there = new ArrayList<>();
                for (int i = 0; i < g % 3; i++) {
                    int size = 1 + random.nextInt(90);
                    float[][] v = values(random, size);
                    here.add(AdamParameter.of("p", Tensor.of(v[0], size), Tensor.of(v[1], size)));
                    there.add(AdamParameter.of("p", device(cuda, memories, v[0], 0), device(cuda, memories, v[1], 4)));
                }
                AdamOptions own = options.get(g % options.size()).withLr(0.001 * g);
                onHost.add(new AdamGroup(own, here));
                onDevice.add(new AdamGroup(own, there));
            }
            try (Adam first = Adam.on(cpu, onHost); Adam second = Adam.on(cuda, onDevice)) {
                for (int step = 0; step < 4; step++) {
                    for (Adam adam : List.of(first, second)) {
                        for (int g = step; g < 130; g += 5) {
                            adam.setEnabled(g, step % 2 == 1);
                            adam.setLr(g, 0.01 * step);
                        }
                        adam.step();
                    }
                }
                for (int i = 0; i < first.parameters().size(); i++) {
                    Tensor expected = first.parameters().get(i).param();
                    float[] wanted = new float[(int) expected.elementCount()];
                    float[] found = new float[wanted.length];
                    cpu.copy(expected, Tensor.of(wanted, wanted.length));
                    cuda.copy(second.parameters().get(i).param(), Tensor.of(found, found.length));
                    assertArrayEquals(bits(wanted), bits(found), "parameter " + i);
                }
            }
            memories.forEach(Memory::close);
        }
    }

    /** A thousand steps, in which an error of a bit anywhere would grow. */
    @ParameterizedTest
    @EnumSource(AdamSemantics.class)
    void trajectory(AdamSemantics semantics) {
        int size = 37;
        AdamOptions options = AdamOptions.adamW().withLr(0.05).withSemantics(semantics)
                .withAmsgrad(semantics.ordinal() % 2 == 1);
        Random random = new Random(semantics.ordinal());
        float[] param = new float[size];
        float[] grad = new float[size];
        for (int i = 0; i < size; i++) {
            param[i] = (float) random.nextGaussian();
            grad[i] = (float) random.nextGaussian();
        }
        List<Memory> memories = new ArrayList<>();
        float[] found = new float[size];
        try (Backend cuda = Backend.open("cuda"); Backend cpu = Backend.open("cpu")) {
            Tensor there = device(cuda, memories, param, 4);
            Tensor gradThere = device(cuda, memories, grad, 0);
            try (Adam first = Adam.on(cpu, options,
                    List.of(AdamParameter.of("p", Tensor.of(param, size), Tensor.of(grad, size))));
                    Adam second = Adam.on(cuda, options, List.of(AdamParameter.of("p", there, gradThere)))) {
                for (int step = 1; step <= 1000; step++) {
                    first.step();
                    second.step();
                    if (step % 50 == 0) {
                        cuda.copy(there, Tensor.of(found, size));
                        assertArrayEquals(bits(param), bits(found), semantics + ", step " + step);
                        for (int i = 0; i < size; i++) {
                            grad[i] = param[i] + 0.1f * (float) random.nextGaussian();
                        }
                        cuda.copy(Tensor.of(grad, size), gradThere);
                    }
                }
            }
            memories.forEach(Memory::close);
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
