package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LrSchedule;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Bad operands and hyper-parameters of Adam, on any backend: an exception that names operation, operand and value, and
 * nothing written.
 */
public abstract class AdamInputContract extends BackendContract {
    private static final int SIZE = 12;
    private static final String[] ROLES = {"param", "grad", "expAvg", "expAvgSq"};

    /** Of two parameters, in the order of ROLES. */
    private final List<Tensor[]> tensors = new ArrayList<>();

    /** For subclasses. */
    protected AdamInputContract() {}

    @BeforeEach
    void layOut() {
        block().begin(1 << 10, 8);
        tensors.clear();
        for (int i = 0; i < 2; i++) {
            Tensor[] four = new Tensor[4];
            for (int role = 0; role < 4; role++) {
                float[] values = new float[SIZE];
                Arrays.fill(values, role + 1);
                four[role] = block().floats(values, role, 3, 4);
            }
            tensors.add(four);
        }
    }

    private List<AdamParameter> parameters() {
        List<AdamParameter> parameters = new ArrayList<>();
        for (int i = 0; i < tensors.size(); i++) {
            Tensor[] four = tensors.get(i);
            parameters.add(new AdamParameter("weight" + i, four[0], four[1], four[2], four[3]));
        }
        return parameters;
    }

    private <T extends Throwable> void refusedAtOnce(Class<T> type, String... words) {
        String[] all = Arrays.copyOf(words, words.length + 1);
        all[words.length] = "Adam.on";
        refused(type, () -> Adam.on(backend(), AdamOptions.adamW(), parameters()).close(), all);
    }

    /** Puts a tensor in another's place for the time of a test. */
    private void with(int parameter, int role, Tensor tensor, Runnable test) {
        Tensor before = tensors.get(parameter)[role];
        tensors.get(parameter)[role] = tensor;
        test.run();
        tensors.get(parameter)[role] = before;
    }

    private static String named(int parameter, int role) {
        return ROLES[role] + " of weight" + parameter;
    }

    @Test
    void shapes() {
        for (int role = 1; role < 4; role++) {
            String name = named(1, role);
            for (long[] shape : new long[][] {{11}, {3, 3}, {0}, {}}) {
                Tensor bad = shifted(tensors.get(1)[role], DType.F32, 0, shape);
                with(1, role, bad, () -> refusedAtOnce(IllegalArgumentException.class, name, Arrays.toString(shape),
                        "12 elements"));
            }
        }
    }

    @Test
    void types() {
        for (int role = 0; role < 4; role++) {
            String name = named(0, role);
            for (DType type : DType.values()) {
                boolean taken =
                        backend().dtypes().contains(type) || type == DType.BF16 || type == DType.F16 && role < 2;
                if (!taken) {
                    Tensor bad = type.byteSize() > 4 ? room(type) : shifted(tensors.get(0)[role], type, 0, SIZE);
                    with(0, role, bad, () -> refusedAtOnce(UnsupportedOperationException.class, name, type.name(),
                            "F32", "BF16"));
                }
            }
        }
    }

    private Tensor room(DType type) {
        return block().room(type, 0, SIZE);
    }

    @Test
    void memoryOfAnotherDevice() {
        for (int role = 0; role < 4; role++) {
            String name = named(1, role);
            with(1, role, foreign(DType.F32, SIZE),
                    () -> refusedAtOnce(IllegalArgumentException.class, name, backend().name()));
        }
    }

    @Test
    void closedMemory() {
        for (int role = 0; role < 4; role++) {
            String name = named(1, role);
            with(1, role, closed(DType.F32, SIZE), () -> refusedAtOnce(IllegalStateException.class, name, "closed"));
        }
    }

    /** Every operand with every other, of the same parameter and of two; by all or by one element. */
    @Test
    void overlaps() {
        for (int a = 0; a < 8; a++) {
            for (int b = 0; b < 8; b++) {
                if (a == b) {
                    continue;
                }
                Tensor other = tensors.get(b / 4)[b % 4];
                String nameA = named(a / 4, a % 4);
                String nameB = named(b / 4, b % 4);
                for (long shift : new long[] {0, 4 * (SIZE - 1), -4 * (SIZE - 1)}) {
                    with(a / 4, a % 4, shifted(other, DType.F32, shift, SIZE),
                            () -> refusedAtOnce(IllegalArgumentException.class, nameA, nameB, "overlaps"));
                }
            }
        }
    }

    /** The fifth operand is there with amsgrad only, and then checked as the others are. */
    @Test
    void largestSecondMoment() {
        Tensor[] four = tensors.get(0);
        AdamOptions amsgrad = AdamOptions.adam().withAmsgrad(true);
        Tensor good = tensors.get(1)[3];
        refused(IllegalArgumentException.class, () -> Adam.on(backend(), AdamOptions.adam(),
                List.of(new AdamParameter("w", four[0], four[1], four[2], four[3], good))).close(),
                "Adam.on", "maxExpAvgSq of w", "amsgrad");
        for (Tensor bad : new Tensor[] {shifted(good, DType.F32, 0, 11), four[3], four[1],
            closed(DType.F32, SIZE), foreign(DType.F32, SIZE)}) {
            refused(RuntimeException.class, () -> Adam.on(backend(), amsgrad,
                    List.of(new AdamParameter("w", four[0], four[1], four[2], four[3], bad))).close(),
                    "Adam.on", "maxExpAvgSq of w");
        }
    }

    /** Touching is no overlap, and neither is lying within a tensor without elements. */
    @Test
    void neighboursAreNoOverlap() {
        block().begin(1 << 10, 1);
        Tensor all = block().floats(new float[48], 0, 48);
        Tensor[] parts = new Tensor[4];
        for (int role = 0; role < 4; role++) {
            parts[role] = shifted(all, DType.F32, 48 * role, SIZE);
        }
        Tensor empty = shifted(all, DType.F32, 16, 0);
        block().upload();
        try (Adam adam = Adam.on(backend(), AdamOptions.adam(), List.of(
                new AdamParameter("weight", parts[2], parts[0], parts[3], parts[1]),
                new AdamParameter("none", empty, empty, empty, empty)))) {
            adam.step();
            assertEquals(1, adam.stepCount());
        }
    }

    @Test
    void noParameters() {
        try (Adam adam = Adam.on(backend(), AdamOptions.adam(), List.of())) {
            adam.step();
            assertEquals(1, adam.stepCount());
        }
    }

    @ParameterizedTest
    @ValueSource(doubles = {Double.NaN, -1e-300, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY})
    void hyperParameters(double bad) {
        AdamOptions good = AdamOptions.adamW();
        refused(IllegalArgumentException.class, () -> good.withLr(bad), "Adam", "lr", "" + bad);
        refused(IllegalArgumentException.class, () -> good.withEps(bad), "Adam", "eps", "" + bad);
        refused(IllegalArgumentException.class, () -> good.withWeightDecay(bad), "Adam", "weightDecay", "" + bad);
        for (double beta : new double[] {bad, 1, 1.5}) {
            refused(IllegalArgumentException.class, () -> good.withBetas(beta, 0.5), "Adam", "beta1", "" + beta);
            refused(IllegalArgumentException.class, () -> good.withBetas(0.5, beta), "Adam", "beta2", "" + beta);
        }
        refused(IllegalArgumentException.class,
                () -> new AdamOptions(bad, 0, 0, 0, 0, false, false, false, AdamSemantics.TORCH,
                        LrSchedule.constant(), null),
                "lr");
        try (Adam adam = Adam.on(backend(), good, parameters())) {
            refused(IllegalArgumentException.class, () -> adam.setLr(bad), "lr", "" + bad);
            assertEquals(good.lr(), adam.lr());
        }
    }

    @Test
    void stepCounts() {
        try (Adam adam = Adam.on(backend(), AdamOptions.adam(), parameters())) {
            refused(IllegalArgumentException.class, () -> adam.setStepCount(-1), "Adam.setStepCount", "-1");
            refused(IllegalArgumentException.class, () -> adam.setStepCount(Long.MAX_VALUE), "Adam.setStepCount",
                    Long.toString(Long.MAX_VALUE));
            assertEquals(0, adam.stepCount());
            adam.setStepCount(41);
            block().upload();
            adam.step();
            assertEquals(42, adam.stepCount());
        }
    }

    @Test
    void closedOptimizer() {
        Adam adam = Adam.on(backend(), AdamOptions.adam(), parameters());
        adam.close();
        adam.close();
        refused(IllegalStateException.class, adam::step, "Adam", "closed");
        assertEquals(0, adam.stepCount());
    }

    @Test
    void closedBackend() {
        Backend other = open();
        Adam adam = Adam.on(other, AdamOptions.adam(), parameters());
        other.close();
        refused(IllegalStateException.class, adam::step, other.name(), "closed");
        assertEquals(0, adam.stepCount());
        refused(IllegalStateException.class, () -> Adam.on(other, AdamOptions.adam(), parameters()), other.name(),
                "closed");
        adam.close();
    }

    @Test
    void aStreamOfAnotherBackend() {
        try (Backend other = open()) {
            refused(IllegalArgumentException.class,
                    () -> Adam.on(backend(), AdamOptions.adam(), parameters(), other.defaultStream()), "Adam.on",
                    "stream");
        }
    }

    @Test
    void groupsThatDoNotFit() {
        refused(IllegalArgumentException.class, () -> Adam.on(backend(), List.of()), "Adam.on", "no groups");
        AdamParameter first = parameters().get(0);
        refused(IllegalArgumentException.class, () -> Adam.on(backend(), List.of(
                new AdamGroup(AdamOptions.adam(), List.of(first)),
                new AdamGroup(AdamOptions.adam(), List.of(first)))), "Adam.on", "overlaps");
        refused(IllegalArgumentException.class, () -> Adam.on(backend(), List.of(
                new AdamGroup(AdamOptions.adam(), List.of()),
                new AdamGroup(AdamOptions.adam().withAmsgrad(true), List.of()))), "Adam.on", "amsgrad");
        try (Adam adam = Adam.on(backend(), AdamOptions.adam(), parameters())) {
            refused(IndexOutOfBoundsException.class, () -> adam.setLr(1, 0.5), "1");
            refused(IndexOutOfBoundsException.class, () -> adam.setEnabled(-1, false), "-1");
            refused(IllegalArgumentException.class, () -> adam.setLr(0, Double.NaN), "lr", "NaN");
        }
    }

    @Test
    void missingOperands() {
        Tensor t = tensors.get(0)[0];
        assertTrue(assertThrows(NullPointerException.class, () -> AdamParameter.of(null, t, t)).getMessage()
                .contains("name"));
        assertTrue(assertThrows(NullPointerException.class, () -> AdamParameter.of("p", null, t)).getMessage()
                .contains("param"));
        assertTrue(assertThrows(NullPointerException.class, () -> AdamParameter.of("p", t, null)).getMessage()
                .contains("grad"));
    }
}
