package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** SGD where kernels run: parameters and momentum buffers have the cpu backend's bits after several steps. */
abstract class SgdContract {
    private static final SgdOptions PLAIN = SgdOptions.defaults().withLr(0.1);
    private static final SgdOptions MOMENTUM = PLAIN.withMomentum(0.9);

    static List<SgdOptions> options() {
        return List.of(PLAIN, PLAIN.withWeightDecay(0.1).withMaximize(true), MOMENTUM, MOMENTUM.withDampening(0.3),
                MOMENTUM.withNesterov(true).withWeightDecay(0.01), MOMENTUM.withMaximize(true));
    }

    /** The same groups on two backends. */
    private static final class Twins implements AutoCloseable {
        final Backend cuda = Backend.open("cuda");
        final Backend cpu = Backend.open("cpu");
        final List<Memory> memories = new ArrayList<>();
        final List<float[]> host = new ArrayList<>();
        final List<Tensor> device = new ArrayList<>();
        final List<SgdGroup> onCpu = new ArrayList<>();
        final List<SgdGroup> onCuda = new ArrayList<>();

        void add(SgdOptions options, Random random, int alignment, int... sizes) {
            List<SgdParameter> here = new ArrayList<>();
            List<SgdParameter> there = new ArrayList<>();
            for (int size : sizes) {
                Tensor[] a = new Tensor[3];
                Tensor[] b = new Tensor[3];
                for (int role = 0; role < (options.momentum() != 0 ? 3 : 2); role++) {
                    float[] values = new float[size];
                    for (int i = 0; i < size; i++) {
                        values[i] = random.nextInt(50) == 0
                                ? new float[] {Float.NaN, Float.NEGATIVE_INFINITY, -0f}[random.nextInt(3)]
                                : (float) random.nextGaussian();
                    }
                    // All aligned; all off by the same; each off by something else.
                    long off = alignment == 0 ? 0 : alignment == 1 ? 4 : 4 * role;
                    Memory memory = cuda.allocate(off + 4L * size);
                    memories.add(memory);
                    b[role] = Tensor.of(DType.F32, memory, off, size);
                    a[role] = Tensor.of(values, size);
                    cuda.copy(a[role], b[role]);
                    host.add(values);
                    device.add(b[role]);
                }
                here.add(new SgdParameter("p", a[0], a[1], a[2]));
                there.add(new SgdParameter("p", b[0], b[1], b[2]));
            }
            onCpu.add(new SgdGroup(options, here));
            onCuda.add(new SgdGroup(options, there));
        }

        void compare(String what) {
            for (int i = 0; i < host.size(); i++) {
                float[] found = new float[host.get(i).length];
                cuda.copy(device.get(i), Tensor.of(found, found.length));
                assertArrayEquals(bits(host.get(i)), bits(found), what + ", tensor " + i + " of " + found.length);
            }
        }

        @Override
        public void close() {
            memories.forEach(Memory::close);
            cpu.close();
            cuda.close();
        }
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void theCpusBits(int alignment) {
        Random random = new Random(alignment);
        for (SgdOptions options : options()) {
            try (Twins twins = new Twins()) {
                // One element, both sides of a vector, of a chunk, of several chunks; nothing between.
                twins.add(options, random, alignment, 1, 2, 3, 4, 5, 31, 0, 32, 33, 2047, 2048, 2049, 4096, 5000);
                try (Sgd cpu = Sgd.on(twins.cpu, twins.onCpu); Sgd cuda = Sgd.on(twins.cuda, twins.onCuda)) {
                    for (int step = 0; step < 3; step++) {
                        cpu.step();
                        cuda.step();
                    }
                }
                twins.compare(options + ", alignment " + alignment);
            }
        }
    }

    /** More groups than a launch has, each with something of its own, some disabled for a while. */
    @Test
    void groups() {
        Random random = new Random(4);
        try (Twins twins = new Twins()) {
            for (int g = 0; g < 130; g++) {
                int[] sizes = new int[g % 3];
                for (int i = 0; i < sizes.length; i++) {
                    sizes[i] = 1 + random.nextInt(90);
                }
                twins.add(options().get(g % options().size()).withLr(0.001 * g), random, 0, sizes);
            }
            try (Sgd cpu = Sgd.on(twins.cpu, twins.onCpu); Sgd cuda = Sgd.on(twins.cuda, twins.onCuda)) {
                for (int step = 0; step < 4; step++) {
                    for (Sgd sgd : List.of(cpu, cuda)) {
                        for (int g = step; g < 130; g += 5) {
                            sgd.setEnabled(g, step % 2 == 1);
                            sgd.setLr(g, 0.01 * step);
                        }
                        sgd.step();
                    }
                }
                assertEquals(cpu.stepCount(0), cuda.stepCount(0));
            }
            twins.compare("groups");
        }
    }

    /** A thousand steps, in which an error of a bit anywhere would grow. */
    @Test
    void trajectory() {
        Random random = new Random(9);
        try (Twins twins = new Twins()) {
            twins.add(MOMENTUM.withNesterov(true), random, 1, 37);
            try (Sgd cpu = Sgd.on(twins.cpu, twins.onCpu); Sgd cuda = Sgd.on(twins.cuda, twins.onCuda)) {
                for (int step = 1; step <= 1000; step++) {
                    cpu.step();
                    cuda.step();
                    if (step % 50 == 0) {
                        twins.compare("step " + step);
                        for (int i = 0; i < 37; i++) {
                            twins.host.get(1)[i] = twins.host.get(0)[i] + (float) random.nextGaussian();
                        }
                        twins.cuda.copy(Tensor.of(twins.host.get(1), 37), twins.device.get(1));
                    }
                }
            }
        }
    }
}
