package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendUnavailableException;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.IsobitException;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.cuda.CudaEvent;
import dev.isobit.cuda.CudaException;
import dev.isobit.cuda.CudaStream;
import dev.isobit.cuda.PinnedMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * Faults of the driver under a little training: whatever call fails, the user gets an error that names the operation or
 * the right bits, nothing leaks, host data and optimizer are as before the failed call, and the device opens again.
 */
class FaultsTest {
    private static final int STEPS = 2;
    private static final int ROWS = 3;
    private static final int CLASSES = 4;
    private static final float[] LOGITS = {0.5f, -1, 2, 0, 1, 1.25f, -3, 0.125f, 4, 0, -0.5f, 2};
    private static final long[] TARGETS = {2, -100, 3};

    /** Where the messages of errors begin. */
    private static final String OPERATION = "(Backend|CudaBackend|CrossEntropy|Adam|Stream|CudaStream|CudaEvent|"
            + "PinnedMemory|Memory)\\.\\w+: .*|backend sim (cannot run here|cannot use): .*";

    private static final List<Result> RESULTS = List.of(Result.OUT_OF_MEMORY, Result.NO_DEVICE,
            Result.ECC_UNCORRECTABLE, Result.UNSUPPORTED_PTX_VERSION, Result.ILLEGAL_ADDRESS,
            Result.LAUNCH_OUT_OF_RESOURCES, Result.LAUNCH_FAILED, Result.UNKNOWN);

    /** The logits after no step, one, two; what every run must have by its own count of steps. */
    private static final List<int[]> EXPECTED = expected();

    private static SimulatedDriver driver() {
        return SimSession.driver();
    }

    private static List<int[]> expected() {
        List<int[]> after = new ArrayList<>();
        float[] logits = LOGITS.clone();
        float[] gradient = new float[LOGITS.length];
        after.add(bits(logits));
        try (Backend cpu = Backend.open("cpu");
                CrossEntropy op = CrossEntropy.on(cpu, CrossEntropyOptions.defaults());
                Adam adam = Adam.on(cpu, AdamOptions.adamW().withLr(0.1), List.of(AdamParameter.of("logits",
                        Tensor.of(logits, ROWS, CLASSES), Tensor.of(gradient, ROWS, CLASSES))))) {
            for (int step = 0; step < STEPS; step++) {
                op.lossAndGradient(Tensor.of(logits, ROWS, CLASSES), Tensor.of(TARGETS, ROWS), Tensor.of(new float[1]),
                        Tensor.of(gradient, ROWS, CLASSES));
                adam.step();
                after.add(bits(logits));
            }
        }
        return after;
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }

    /** Trains a little and touches everything that the backend has; checks what it reads. */
    private static void train() {
        float[] host = LOGITS.clone();
        long[] targets = TARGETS.clone();
        try (var backend = (CudaBackend) Backend.open("sim");
                CudaStream own = backend.newStream();
                CudaStream stream = backend.wrapStream(own.handle());
                CudaEvent event = backend.newEvent();
                PinnedMemory pinned = backend.allocatePinned(4L * LOGITS.length);
                Memory second = backend.allocate(4L * LOGITS.length)) {
            Tensor logits = backend.allocate(DType.F32, ROWS, CLASSES);
            try (CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), stream)) {
                Tensor gradient = backend.allocate(DType.F32, ROWS, CLASSES);
                Tensor loss = backend.allocate(DType.F32);
                Tensor classes = backend.allocate(DType.I64, ROWS);
                backend.copy(Tensor.of(host, ROWS, CLASSES), logits);
                backend.copy(Tensor.of(targets, ROWS), classes);
                try (Adam adam = Adam.on(backend, AdamOptions.adamW().withLr(0.1),
                        List.of(AdamParameter.of("logits", logits, gradient)), stream)) {
                    try {
                        for (int step = 0; step < STEPS; step++) {
                            op.lossAndGradient(logits, classes, loss, gradient);
                            adam.step();
                            event.record(own);
                            backend.defaultStream().waitFor(event);
                            stream.synchronize();
                        }
                        event.synchronize();
                        event.millisecondsSince(event);
                        backend.wrap(logits.address(), 4);
                    } catch (CudaException e) {
                        if (!e.contextLost()) {
                            afterFailure(backend, stream, logits, adam);
                        }
                        throw e;
                    }
                    assertEquals(STEPS, adam.stepCount());
                }
            }
            Tensor copy = Tensor.of(DType.F32, second, 0, ROWS, CLASSES);
            backend.copy(logits, copy);
            Tensor read = Tensor.of(DType.F32, pinned.segment(), ROWS, CLASSES);
            backend.copy(copy, read);
            assertArrayEquals(EXPECTED.get(STEPS), pinned.segment().toArray(ValueLayout.JAVA_INT), "read to pinned");
            float[] plain = new float[LOGITS.length];
            backend.copy(read, logits);
            backend.copy(logits, Tensor.of(plain, ROWS, CLASSES));
            assertArrayEquals(EXPECTED.get(STEPS), bits(plain), "read to an array");
        } finally {
            assertArrayEquals(bits(LOGITS), bits(host), "host data");
            assertArrayEquals(TARGETS, targets, "host data");
        }
    }

    /** The context lives: the parameter is what so many steps made of it. */
    private static void afterFailure(CudaBackend backend, CudaStream stream, Tensor logits, Adam adam) {
        driver().faults().pause(true);
        try {
            stream.synchronize();
            float[] found = new float[LOGITS.length];
            backend.copy(logits, Tensor.of(DType.F32, MemorySegment.ofArray(found), ROWS, CLASSES));
            assertArrayEquals(EXPECTED.get((int) adam.stepCount()), bits(found),
                    "the parameter after " + adam.stepCount() + " steps");
        } finally {
            driver().faults().pause(false);
        }
    }

    private static void named(Throwable e, String plan) {
        assertTrue(e instanceof IsobitException && e.getMessage().matches("(?s)" + OPERATION), plan + ": " + e);
        for (Throwable suppressed : e.getSuppressed()) {
            named(suppressed, plan);
        }
    }

    @Test
    void everyFaultIsAnErrorThatNamesTheOperationOrDoesNoHarm() {
        int count = Integer.getInteger("isobit.sim.faults", 10_000);
        long seed = Long.getLong("isobit.sim.faults.seed", 20);
        train();
        Map<String, Long> calls = driver().calls();
        driver().clear();
        List<String> functions = new ArrayList<>(calls.keySet());
        // Only called when something else has failed.
        List<String> afterwards = List.of("cuMemGetInfo_v2", "cuGetErrorName");
        functions.addAll(afterwards);
        Map<String, Integer> fired = new TreeMap<>();
        int errors = 0;
        var random = new Random(seed);
        for (int i = 0; i < count; i++) {
            String function = functions.get(i < functions.size() ? i : random.nextInt(functions.size()));
            long call = afterwards.contains(function) ? 1 : 1 + random.nextLong(calls.get(function));
            // To make a context current fails only where there is none any more, as the driver's documentation has it.
            List<Result> results = function.equals("cuCtxSetCurrent")
                    ? List.of(Result.DEINITIALIZED, Result.INVALID_CONTEXT)
                    : RESULTS;
            Result result = results.get(random.nextInt(results.size()));
            int kind = random.nextInt(12);
            Faults faults = driver().faults();
            int planned = 1;
            if (afterwards.contains(function)) {
                faults.fail("cuMemAlloc_v2", 1 + random.nextLong(calls.get("cuMemAlloc_v2")), Result.OUT_OF_MEMORY);
                faults.fail(function, call, result);
                planned = 2;
            } else if (kind == 0) {
                faults.removeDevices(function, call);
            } else if (kind == 1) {
                faults.delay(function, call, 1);
            } else {
                faults.fail(function, call, result);
            }
            String plan = "fault " + i + " of seed " + seed + ": call " + call + " of " + function + ", "
                    + (kind == 0 ? "devices removed" : kind == 1 ? "slow" : result);
            try {
                train();
            } catch (IsobitException e) {
                errors++;
                named(e, plan);
            } catch (RuntimeException e) {
                throw new AssertionError(plan, e);
            }
            assertEquals(planned, faults.fired(), plan + " did not come true");
            assertEquals(Map.of(), driver().live(), plan + ": alive");
            assertEquals(List.of(), driver().violations(), plan);
            fired.merge(function, 1, Integer::sum);
            faults.clear();
            if (kind == 0 && !afterwards.contains(function)) {
                var e = assertThrows(BackendUnavailableException.class, () -> Backend.open("sim"), plan);
                assertTrue(e.getMessage().contains("finds no device"), e.getMessage());
                driver().setDevicesRemoved(false);
            }
            if (i % 16 == 0) {
                train();
            }
            driver().clear();
        }
        System.out
                .println(count + " faults of seed " + seed + ", " + errors + " told as errors; by function: " + fired);
        assertEquals(functions.size(), fired.size(), "functions without a fault");
        assertTrue(errors > count / 2, errors + " errors");
    }

    @Test
    void aLostContextIsSaidUntilTheDeviceIsOpenedAgain() {
        try (Backend backend = Backend.open("sim")) {
            driver().faults().fail("cuStreamSynchronize", 1, Result.ILLEGAL_ADDRESS);
            var e = assertThrows(CudaException.class, () -> backend.defaultStream().synchronize());
            assertTrue(e.contextLost());
            assertTrue(
                    e.getMessage().contains("cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS; the context of device 0"),
                    e.getMessage());
            e = assertThrows(CudaException.class, () -> backend.allocate(8));
            assertTrue(e.getMessage().contains("close the backend and open it again"), e.getMessage());
        }
        train();
    }

    @Test
    void unknownFunctionsAndSuccessAreNoFaults() {
        assertThrows(IllegalArgumentException.class, () -> driver().faults().fail("cuFrob", 1, Result.UNKNOWN));
        assertThrows(IllegalArgumentException.class, () -> driver().faults().fail("cuInit", 1, Result.SUCCESS));
    }
}
