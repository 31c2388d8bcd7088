package dev.isobit.state;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendProbe;
import dev.isobit.DType;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import dev.isobit.safetensors.SafetensorsException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Optimizer state that PyTorch wrote, and its run that goes on here: resources/dev/isobit/state/torch/make.py says how the
 * files were made, with which version.
 */
class TorchStateTest {
    private static final int BEFORE = 4;
    private static final int AFTER = 6;
    /** In the order of its optimizer, weights and biases, which is not the model's. */
    private static final Map<String, long[]> SHAPES = new LinkedHashMap<>();

    static {
        SHAPES.put("0.weight", new long[] {7, 5});
        SHAPES.put("2.weight", new long[] {3, 7});
        SHAPES.put("0.bias", new long[] {7});
        SHAPES.put("2.bias", new long[] {3});
    }

    /** An optimizer of make.py. */
    private enum Kind {
        ADAMW("adamw", DType.F32, AdamOptions.adamW().withLr(0.01), 0.05), ADAM_AMSGRAD("adam-amsgrad", DType.F32,
                AdamOptions.adam().withLr(0.02).withBetas(0.8, 0.9).withAmsgrad(true), 0.01), SGD("sgd", DType.F32,
                        null, 0.001), ADAMW_BF16("adamw-bf16", DType.BF16, AdamOptions.adamW().withLr(0.01), 0.05);

        final String file;
        final DType dtype;
        final AdamOptions adam;
        final SgdOptions sgd = SgdOptions.defaults().withLr(0.05).withMomentum(0.9).withNesterov(true);
        final double decay;

        Kind(String file, DType dtype, AdamOptions adam, double decay) {
            this.file = file;
            this.dtype = dtype;
            this.adam = adam;
            this.decay = decay;
        }

        double lr() {
            return adam == null ? sgd.lr() : adam.lr();
        }
    }

    private static Path resource(String name) {
        try {
            return Path.of(TorchStateTest.class.getResource("torch/" + name).toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Bits by step, parameter and role, joined by blanks. */
    private static Map<String, long[]> told(Kind kind) throws IOException {
        Map<String, long[]> told = new HashMap<>();
        List<String> lines = Files.readAllLines(resource(kind.file + ".tsv"));
        for (String line : lines.subList(1, lines.size())) {
            String[] columns = line.split("\t");
            told.put(columns[0] + " " + columns[1] + " " + columns[2],
                    Arrays.stream(columns[4].split(" ")).mapToLong(bits -> Long.parseUnsignedLong(bits, 16)).toArray());
        }
        return told;
    }

    /** The network under an optimizer here, everything NaN but the parameters. */
    private static final class Network implements AutoCloseable {
        final Backend backend;
        final Kind kind;
        final Map<String, long[]> told;
        final Map<String, Tensor> tensors = new LinkedHashMap<>();
        final Adam adam;
        final Sgd sgd;

        /** @param moments their type */
        Network(Backend backend, Kind kind, DType moments) throws IOException {
            this.backend = backend;
            this.kind = kind;
            told = told(kind);
            List<List<AdamParameter>> adams = List.of(new ArrayList<>(), new ArrayList<>());
            List<List<SgdParameter>> sgds = List.of(new ArrayList<>(), new ArrayList<>());
            SHAPES.forEach((name, shape) -> {
                int group = name.endsWith("weight") ? 0 : 1;
                Tensor param = tensor(name, "param", kind.dtype, shape);
                put(param, told.get("0 " + name + " param"));
                Tensor grad = tensor(name, "grad", kind.dtype, shape);
                if (kind.adam == null) {
                    sgds.get(group).add(new SgdParameter(name, param, grad,
                            tensor(name, "momentum_buffer", moments, shape)));
                } else {
                    adams.get(group).add(new AdamParameter(name, param, grad, tensor(name, "exp_avg", moments, shape),
                            tensor(name, "exp_avg_sq", moments, shape),
                            kind.adam.amsgrad() ? tensor(name, "max_exp_avg_sq", moments, shape) : null));
                }
            });
            double[] decays = {kind.decay, 0};
            List<AdamGroup> adamGroups = new ArrayList<>();
            List<SgdGroup> sgdGroups = new ArrayList<>();
            for (int group = 0; group < 2; group++) {
                if (kind.adam == null) {
                    sgdGroups.add(new SgdGroup(kind.sgd.withWeightDecay(decays[group]), sgds.get(group)));
                } else {
                    adamGroups.add(new AdamGroup(kind.adam.withWeightDecay(decays[group]), adams.get(group)));
                }
            }
            adam = kind.adam == null ? null : Adam.on(backend, adamGroups);
            sgd = kind.adam == null ? Sgd.on(backend, sgdGroups) : null;
        }

        private Tensor tensor(String name, String role, DType dtype, long[] shape) {
            Tensor tensor = backend.allocate(dtype, shape);
            long[] nans = new long[(int) tensor.elementCount()];
            Arrays.fill(nans, dtype == DType.F32 ? 0x7fc00000 : 0x7fc0);
            put(tensor, nans);
            tensors.put(name + " " + role, tensor);
            return tensor;
        }

        void put(Tensor tensor, long[] bits) {
            MemorySegment host = MemorySegment.ofArray(new long[bits.length]).asSlice(0, tensor.byteSize());
            for (int i = 0; i < bits.length; i++) {
                if (tensor.dtype() == DType.F32) {
                    host.setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i, (int) bits[i]);
                } else {
                    host.setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i, (short) bits[i]);
                }
            }
            backend.copy(Tensor.of(tensor.dtype(), host, tensor.shape()), tensor);
        }

        long[] bits(String name, String role) {
            Tensor tensor = tensors.get(name + " " + role);
            MemorySegment host = MemorySegment.ofArray(new long[(int) tensor.elementCount()]);
            backend.copy(tensor, Tensor.of(tensor.dtype(), host.asSlice(0, tensor.byteSize()), tensor.shape()));
            long[] bits = new long[(int) tensor.elementCount()];
            for (int i = 0; i < bits.length; i++) {
                bits[i] = tensor.dtype() == DType.F32
                        ? Integer.toUnsignedLong(host.getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i))
                        : Short.toUnsignedLong(host.getAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i));
            }
            return bits;
        }

        void load(String file) {
            if (adam != null) {
                OptimizerState.load(resource(file), backend, adam);
            } else {
                OptimizerState.load(resource(file), backend, sgd);
            }
        }

        /** With the gradients that PyTorch had. */
        void step(int step) {
            SHAPES.keySet().forEach(name -> put(tensors.get(name + " grad"), told.get(step + " " + name + " grad")));
            if (adam != null) {
                adam.step();
            } else {
                sgd.step();
            }
        }

        /** Everything, in order. */
        List<long[]> all() {
            return tensors.keySet().stream().map(key -> bits(key.split(" ")[0], key.split(" ")[1])).toList();
        }

        @Override
        public void close() {
            if (adam != null) {
                adam.close();
            } else {
                sgd.close();
            }
            tensors.values().forEach(tensor -> tensor.memory().close());
        }
    }

    private static void assumeRuns(String backend) {
        BackendProbe probe = Backend.probes().stream().filter(p -> p.name().equals(backend)).findFirst().orElseThrow();
        assumeTrue(probe.available(), probe.detail());
    }

    /** By numbers as in state_dict, and by names with the parameters: the bits that PyTorch had. */
    @ParameterizedTest
    @CsvSource({"ADAMW, cpu", "ADAM_AMSGRAD, cpu", "SGD, cpu", "ADAMW_BF16, cpu", "ADAMW, sim", "ADAM_AMSGRAD, sim",
        "SGD, sim", "ADAMW_BF16, sim"})
    void itsBits(Kind kind, String on) throws IOException {
        assumeRuns(on);
        for (boolean named : new boolean[] {false, true}) {
            try (Backend backend = Backend.open(on); Network network = new Network(backend, kind, kind.dtype)) {
                if (named) {
                    SHAPES.keySet().forEach(name -> network.put(network.tensors.get(name + " param"),
                            new long[network.told.get("0 " + name + " param").length]));
                }
                network.load(kind.file + (named ? "-named" : "") + ".safetensors");
                int compared = 0;
                for (String key : network.tensors.keySet()) {
                    if (!key.endsWith(" grad")) {
                        assertArrayEquals(network.told.get("0 " + key),
                                network.bits(key.split(" ")[0], key.split(" ")[1]), kind + " " + key);
                        compared++;
                    }
                }
                assertEquals(4 * (kind.adam == null ? 2 : kind.adam.amsgrad() ? 4 : 3), compared);
                for (int group = 0; group < 2; group++) {
                    // PyTorch does not count the steps of SGD: it is enough that they have begun.
                    assertEquals(kind.adam == null ? 1 : BEFORE,
                            kind.adam == null ? network.sgd.stepCount(group) : network.adam.stepCount(group));
                }
            }
        }
    }

    /**
     * Its run goes on. Of each step, Isobit's parameter is within 6 ULP of float64 for Adam, 4 for SGD, at the largest addend
     * (promise 2); that the moments of the steps before are rounded too is no more than what a step leaves of that. PyTorch
     * rounds as often, in another order: it has as much. In BF16 a step of ours rounds each tensor once, half an ULP of the
     * parameter and half of each moment, which moves an update by less than as much again: 1 ULP; PyTorch rounds after every
     * operation, twice in the parameter, three times in the moments, three times between: 4.
     */
    @ParameterizedTest
    @CsvSource({"ADAMW, F32, 6, 6", "ADAM_AMSGRAD, F32, 6, 6", "SGD, F32, 4, 4", "ADAMW_BF16, BF16, 1, 4"})
    void itsRunGoesOn(Kind kind, DType moments, double ours, double torchs) throws IOException {
        long compared = 0;
        try (Backend cpu = Backend.open("cpu"); Network network = new Network(cpu, kind, moments)) {
            network.load(kind.file + ".safetensors");
            Map<String, double[]> momenta = new HashMap<>();
            for (int step = 1; step <= AFTER; step++) {
                network.step(step);
                for (String name : SHAPES.keySet()) {
                    long[] torch = network.told.get(step + " " + name + " param");
                    long[] exact = network.told.get(step + " " + name + " param_f64");
                    long[] found = network.bits(name, "param");
                    double[] addends = addends(network, name, step, momenta);
                    for (int i = 0; i < found.length; i++) {
                        double at = Double.longBitsToDouble(exact[i]);
                        double ulp = Math.scalb(1.0, Math.getExponent(Math.max(Math.abs(at), addends[i]))
                                - (kind.dtype == DType.F32 ? 23 : 7));
                        double toExact = Math.abs(value(kind.dtype, found[i]) - at) / ulp;
                        double toTorch = Math.abs(value(kind.dtype, found[i]) - value(kind.dtype, torch[i])) / ulp;
                        String what = kind + " " + name + " element " + i + " step " + step;
                        if (!(toExact <= ours * step && toTorch <= (ours + torchs) * step)) {
                            throw new AssertionError(what + ": " + toExact + " ULP from float64, " + toTorch
                                    + " from PyTorch");
                        }
                        compared++;
                    }
                }
            }
        }
        assertEquals(AFTER * 66L, compared);
    }

    /** How large an addend of the parameter is: of Adam, about the learning rate; of SGD, its share of absolute gradients. */
    private static double[] addends(Network network, String name, int step, Map<String, double[]> momenta) {
        long[] grad = network.told.get(step + " " + name + " grad");
        double[] addends = new double[grad.length];
        Arrays.fill(addends, network.kind.lr());
        if (network.kind.adam == null) {
            SgdOptions options = network.kind.sgd;
            double[] momentum = momenta.computeIfAbsent(name, key -> Arrays.stream(
                    network.told.get("0 " + key + " momentum_buffer"))
                    .mapToDouble(bits -> Math.abs(value(DType.F32, bits))).toArray());
            for (int i = 0; i < grad.length; i++) {
                double g = Math.abs(value(DType.F32, grad[i]));
                momentum[i] = options.momentum() * momentum[i] + g;
                addends[i] = options.lr() * (g + options.momentum() * momentum[i]);
            }
        }
        return addends;
    }

    private static double value(DType dtype, long bits) {
        return dtype == DType.F32 ? Float.intBitsToFloat((int) bits) : NarrowFloats.fromBf16((short) bits);
    }

    /** The same bits on the simulated device. */
    @ParameterizedTest
    @ValueSource(strings = {"ADAMW", "ADAM_AMSGRAD", "SGD", "ADAMW_BF16"})
    void itGoesOnWithTheSameBits(Kind kind) throws IOException {
        assumeRuns("sim");
        List<List<long[]>> left = new ArrayList<>();
        for (String name : List.of("cpu", "sim")) {
            try (Backend backend = Backend.open(name); Network network = new Network(backend, kind, kind.dtype)) {
                network.load(kind.file + ".safetensors");
                for (int step = 1; step <= AFTER; step++) {
                    network.step(step);
                }
                left.add(network.all());
            }
        }
        for (int i = 0; i < left.get(0).size(); i++) {
            assertArrayEquals(left.get(0).get(i), left.get(1).get(i));
        }
    }

    /** Moments that PyTorch kept in BF16 become those of F32: the same numbers. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "sim"})
    void widened(String on) throws IOException {
        assumeRuns(on);
        try (Backend backend = Backend.open(on); Network network = new Network(backend, Kind.ADAMW_BF16, DType.F32)) {
            network.load("adamw-bf16.safetensors");
            for (String name : SHAPES.keySet()) {
                for (String role : List.of("exp_avg", "exp_avg_sq")) {
                    long[] expected = Arrays.stream(network.told.get("0 " + name + " " + role)).map(bits -> bits << 16)
                            .toArray();
                    assertArrayEquals(expected, network.bits(name, role), name + " " + role);
                }
            }
        }
    }

    /** PyTorch has no masters: with state alone, the optimizer keeps its own. With parameters, it would keep others'. */
    @Test
    void mastersOfOurOwn() {
        try (Backend cpu = Backend.open("cpu")) {
            List<List<AdamParameter>> groups = List.of(new ArrayList<>(), new ArrayList<>());
            SHAPES.forEach((name, shape) -> {
                Tensor master = cpu.allocate(DType.F32, shape);
                master.segment().fill((byte) 0x3f);
                groups.get(name.endsWith("weight") ? 0 : 1).add(AdamParameter.of(name,
                        cpu.allocate(DType.BF16, shape), cpu.allocate(DType.BF16, shape)).withMaster(master));
            });
            try (Adam adam = Adam.on(cpu,
                    groups.stream().map(group -> new AdamGroup(AdamOptions.adamW(), group)).toList())) {
                OptimizerState.load(resource("adamw-bf16.safetensors"), cpu, adam);
                assertEquals(BEFORE, adam.stepCount());
                for (AdamParameter p : adam.parameters()) {
                    assertEquals(0x3f3f3f3f, p.master().segment().get(ValueLayout.JAVA_INT, 0));
                }
                var e = assertThrows(SafetensorsException.class,
                        () -> OptimizerState.load(resource("adamw-bf16-named.safetensors"), cpu, adam));
                assertTrue(e.getMessage().contains("0.weight.master_param"), e.getMessage());
            }
        }
    }

    /** Another optimizer's numbers, another kind of optimizer, other shapes: refused, with what is wrong. */
    @Test
    void numbersThatDoNotFit() throws IOException {
        try (Backend cpu = Backend.open("cpu"); Network network = new Network(cpu, Kind.ADAMW, DType.F32)) {
            refused(network, "sgd.safetensors", "state.0.step");
            refused(network, "adam-amsgrad.safetensors", "max_exp_avg_sq");
            List<AdamParameter> parameters = network.adam.parameters();
            List<long[]> before = network.all();
            try (Adam fewer = Adam.on(cpu, AdamOptions.adamW(), parameters.subList(0, 3));
                    Adam inOneOrder = Adam.on(cpu, AdamOptions.adamW(),
                            List.of(parameters.get(0), parameters.get(2), parameters.get(1), parameters.get(3)))) {
                var e = assertThrows(SafetensorsException.class,
                        () -> OptimizerState.load(resource("adamw.safetensors"), cpu, fewer));
                assertTrue(e.getMessage().contains("state.3."), e.getMessage());
                e = assertThrows(SafetensorsException.class,
                        () -> OptimizerState.load(resource("adamw.safetensors"), cpu, inOneOrder));
                assertTrue(e.getMessage().contains("state.1.exp_avg\": it is F32[3, 7], the optimizer's is F32[7]"),
                        e.getMessage());
            }
            for (int i = 0; i < before.size(); i++) {
                assertArrayEquals(before.get(i), network.all().get(i));
            }
        }
    }

    /** Bytes that were changed anywhere, or a piece of the header by another: loaded whole, or refused and nothing changed. */
    @Test
    void mutants(@TempDir Path folder) throws IOException {
        int trials = Integer.getInteger("isobit.fuzz", 2000);
        byte[] whole = Files.readAllBytes(resource("adamw.safetensors"));
        int header = Long.BYTES + whole[0] + 256 * whole[1];
        Path file = folder.resolve("mutant.safetensors");
        Random random = new Random(20261123);
        int loaded = 0;
        try (Backend cpu = Backend.open("cpu"); Network network = new Network(cpu, Kind.ADAMW, DType.F32)) {
            network.adam.setStepCount(77);
            List<long[]> before = network.all();
            for (int trial = 0; trial < trials; trial++) {
                byte[] mutant = whole.clone();
                for (int i = random.nextInt(3); i >= 0; i--) {
                    int at = random.nextInt(10) == 0 ? random.nextInt(mutant.length) : random.nextInt(header);
                    switch (random.nextInt(3)) {
                        case 0 -> mutant[at] ^= (byte) (1 << random.nextInt(8));
                        case 1 -> mutant[at] = (byte) "0123456789[]{},:\"".charAt(random.nextInt(17));
                        default -> System.arraycopy(whole, random.nextInt(header), mutant, at,
                                Math.min(random.nextInt(60), whole.length - Math.max(at, header)));
                    }
                }
                Files.write(file, mutant);
                try {
                    OptimizerState.load(file, cpu, network.adam);
                    loaded++;
                    SHAPES.keySet().forEach(name -> List.of("exp_avg", "exp_avg_sq").forEach(role -> network
                            .put(network.tensors.get(name + " " + role), nans(network, name + " " + role))));
                    network.adam.setStepCount(77);
                } catch (SafetensorsException e) {
                    assertTrue(e.getMessage().startsWith(file + ": ") && e.getMessage().length() < 1500,
                            e.getMessage());
                }
                List<long[]> after = network.all();
                for (int i = 0; i < before.size(); i++) {
                    assertArrayEquals(before.get(i), after.get(i));
                }
                assertEquals(77, network.adam.stepCount(0));
                assertEquals(77, network.adam.stepCount(1));
            }
        }
        assertTrue(loaded > 0 && loaded < trials / 2, loaded + " were loaded");
    }

    private static long[] nans(Network network, String key) {
        long[] nans = new long[(int) network.tensors.get(key).elementCount()];
        Arrays.fill(nans, 0x7fc00000);
        return nans;
    }

    private static void refused(Network network, String file, String named) {
        var e = assertThrows(SafetensorsException.class, () -> network.load(file));
        assertTrue(e.getMessage().contains(named), e.getMessage());
    }
}
