package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.BackendUnavailableException;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.Memory;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.IntStream;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every call of the driver fails once: the error is typed and named, nothing leaks, and what can go on goes on. */
@RecorderTest
class RecorderFaultTest {
    /** What releases something, or comes before that: where it fails the thing stays until the context ends. */
    private static final Set<String> RELEASES = Set.of("cuMemFree_v2", "cuMemFreeHost", "cuModuleUnload",
            "cuStreamDestroy_v2", "cuEventDestroy_v2", "cuGraphDestroy", "cuGraphExecDestroy",
            "cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent");

    private static final Set<String> OPERATIONS = Set.of("Backend.open", "Backend.allocate", "Backend.copy",
            "Backend.close", "Memory.close", "CudaBackend.allocatePinned", "PinnedMemory.close", "CudaBackend.wrap",
            "CudaBackend.wrapStream", "CudaBackend.newStream", "CudaBackend.newEvent", "CudaEvent.record",
            "CudaEvent.synchronize", "CudaEvent.millisecondsSince", "CudaEvent.close", "CudaStream.waitFor",
            "CudaStream.capture", "CudaGraph.launch", "CudaGraph.close",
            "Stream.synchronize", "Stream.close", "CrossEntropy.on", "CrossEntropy.loss", "CrossEntropy.gradient",
            "CrossEntropy.lossAndGradient", "CrossEntropy.close", "Adam.on", "Adam.step", "Adam.close",
            "CUDA driver", "BceWithLogits.on", "BceWithLogits.lossAndGradient", "BceWithLogits.close", "Softmax.on",
            "Softmax.probabilities", "Softmax.gradient", "Softmax.close", "NllLoss.on", "NllLoss.lossAndGradient",
            "NllLoss.close", "Adam.accumulate", "Adam.accumulateAndStep", "Adam.queueChanges", "Adam.stepState",
            "Adam.setStepState", "Adam.stepCount", "Adam.setStepCount", "Sgd.on", "Sgd.step", "Sgd.queueChanges",
            "Sgd.stepState", "Sgd.stepCount", "Sgd.close");

    /** Uses everything there is, and closes it. */
    private static void useEverything() {
        try (CudaBackend backend = (CudaBackend) new CudaProvider().open(BackendOptions.defaults());
                Memory logits = backend.allocate(4 * 15);
                Memory targets = backend.allocate(8 * 3);
                Memory loss = backend.allocate(4);
                PinnedMemory pinned = backend.allocatePinned(60);
                CudaStream owned = backend.newStream();
                CudaStream stream = backend.wrapStream(owned.handle());
                CudaEvent start = backend.newEvent();
                CudaEvent end = backend.newEvent();
                CrossEntropy crossEntropy = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), stream);
                Adam adam = Adam.on(backend, AdamOptions.adamW(), List.of(AdamParameter.of("p",
                        Tensor.of(DType.F32, logits, 0, 6), Tensor.of(DType.F32, logits, 24, 6))))) {
            Tensor z = Tensor.of(DType.F32, backend.wrap(logits.address(), 60), 0, 3, 5);
            Tensor t = Tensor.of(DType.I64, targets, 0, 3);
            Tensor l = Tensor.of(DType.F32, loss, 0);
            backend.copy(Tensor.of(new float[15], 3, 5), z);
            backend.copy(z, Tensor.of(DType.F32, pinned.segment(), 3, 5));
            backend.copy(Tensor.of(DType.F32, pinned.segment(), 3, 5), z);
            backend.copy(z, Tensor.of(new float[15], 3, 5));
            backend.copy(Tensor.of(DType.F32, logits, 0, 5), Tensor.of(DType.F32, logits, 20, 5));
            start.record(stream);
            crossEntropy.loss(z, t, l);
            crossEntropy.lossAndGradient(z, t, l, z);
            crossEntropy.gradient(z, t, z);
            end.record(stream);
            backend.defaultStream().waitFor(end);
            adam.step();
            try (CudaGraph graph = stream.capture(() -> crossEntropy.loss(z, t, l))) {
                graph.launch();
            }
            stream.synchronize();
            end.synchronize();
            end.millisecondsSince(start);
        }
    }

    /** The other operations, and optimizers that keep their state on the device. */
    private static void useEveryOperation() {
        try (CudaBackend backend = (CudaBackend) new CudaProvider().open(BackendOptions.defaults());
                Memory memory = backend.allocate(16384);
                Memory targets = backend.allocate(8 * 40);
                CrossEntropy smooth = CrossEntropy.on(backend, CrossEntropyOptions.defaults().withLabelSmoothing(0.1));
                BceWithLogits bce = BceWithLogits.on(backend, BceWithLogitsOptions.defaults());
                Softmax softmax = Softmax.on(backend, SoftmaxOptions.defaults());
                NllLoss nll = NllLoss.on(backend, NllLossOptions.defaults());
                Adam adam = Adam.on(backend, List.of(adamGroup(memory, 0, AdamOptions.adamW().withAmsgrad(true))),
                        AROUND.withAccumulateGrad(true), backend.defaultStream());
                Adam manyGroups = Adam.on(backend,
                        IntStream.range(0, 65).mapToObj(i -> withMoments(memory, 8192 + 64 * i))
                                .toList());
                Sgd sgd = Sgd.on(backend, SgdOptions.defaults().withMomentum(0.9),
                        List.of(SgdParameter.of("p", part(memory, 64, 4), part(memory, 80, 4))));
                Sgd guarded = Sgd.on(backend,
                        List.of(new SgdGroup(SgdOptions.defaults(),
                                List.of(SgdParameter.of("p", part(memory, 128, 4), part(memory, 144, 4))))),
                        AROUND, backend.defaultStream())) {
            Tensor z = part(memory, 256, 40, 5);
            Tensor t = Tensor.of(DType.I64, targets, 0, 40);
            Tensor loss = Tensor.of(DType.F32, memory, 8188);
            smooth.lossAndGradient(z, t, loss, z);
            bce.lossAndGradient(z, part(memory, 4096, 40, 5), loss, z);
            softmax.probabilities(z, z);
            softmax.gradient(z, part(memory, 4096, 40, 5), z);
            nll.lossAndGradient(NllLossOperands.of(z, t), loss, z);
            adam.accumulate();
            adam.accumulateAndStep();
            adam.setLr(0.5);
            adam.queueChanges();
            adam.step();
            adam.setStepState(adam.stepState());
            adam.setStepCount(adam.stepCount() + 1);
            manyGroups.setLr(3, 0.5);
            manyGroups.step();
            manyGroups.stepCount(64);
            sgd.step();
            guarded.setGradDivisor(4);
            guarded.step();
            guarded.stepState();
        }
    }

    private static final StepOptions AROUND =
            StepOptions.defaults().withGradScaling(GradScaling.defaults()).withMaxNorm(1).withZeroGrad(true);

    private static AdamGroup adamGroup(Memory memory, long offset, AdamOptions options) {
        return new AdamGroup(options,
                List.of(AdamParameter.of("p", part(memory, offset, 4), part(memory, offset + 16, 4))));
    }

    private static AdamGroup withMoments(Memory memory, long offset) {
        return new AdamGroup(AdamOptions.adam(), List.of(new AdamParameter("p", part(memory, offset, 4),
                part(memory, offset + 16, 4), part(memory, offset + 32, 4), part(memory, offset + 48, 4))));
    }

    private static Tensor part(Memory memory, long offset, long... shape) {
        return Tensor.of(DType.F32, memory, offset, shape);
    }

    private static Map<String, Integer> callsOfAHealthyRun(Recorder recorder, Runnable use) {
        recorder.clearLog();
        use.run();
        Map<String, Integer> calls = new TreeMap<>();
        recorder.calls().forEach(call -> calls.merge(call, 1, Integer::sum));
        return calls;
    }

    @ParameterizedTest
    @ValueSource(ints = {Recorder.UNKNOWN, Recorder.OUT_OF_MEMORY, Recorder.ILLEGAL_ADDRESS, Recorder.LAUNCH_FAILED})
    void everyCallThatFailsIsATypedErrorAndNothingLeaks(int result, Recorder recorder) {
        Map<String, Integer> tried =
                failEveryCall(result, recorder, RecorderFaultTest::useEverything, 20);
        assertTrue(tried.size() >= 30, tried.toString());
    }

    @ParameterizedTest
    @ValueSource(ints = {Recorder.OUT_OF_MEMORY, Recorder.LAUNCH_FAILED})
    void soItIsInEveryOperation(int result, Recorder recorder) {
        failEveryCall(result, recorder, RecorderFaultTest::useEveryOperation, 25);
    }

    /** Functions of the driver, and how many calls of each have failed. */
    private static Map<String, Integer> failEveryCall(int result, Recorder recorder, Runnable use,
            int leastOperations) {
        use.run(); // class loading apart
        Map<String, Integer> calls = callsOfAHealthyRun(recorder, use);
        Set<String> operations = new TreeSet<>();
        Map<String, Integer> tried = new LinkedHashMap<>();
        for (var entry : calls.entrySet()) {
            String function = entry.getKey();
            for (int call = 1; call <= entry.getValue(); call++) {
                String what = function + " call " + call + " fails with " + result;
                recorder.reset();
                recorder.fail(function, call, result);
                RuntimeException e = assertThrows(RuntimeException.class, use::run, what);
                assertEquals(1, recorder.faultsFired(), what);
                checkError(what, e, result, operations);
                // Once the device is released, nothing may be left; what could not be released went with the context.
                recorder.clearFaults();
                if (function.startsWith("cuDevicePrimaryCtxRelease")) {
                    recorder.driver("cuDevicePrimaryCtxRelease_v2", 0);
                }
                for (String kind : Recorder.KINDS) {
                    assertEquals(0, recorder.live(kind), what + ": " + kind);
                }
                // An attribute is asked of a device, not of its context: the recorder's one lives on.
                boolean livesOn = function.equals("cuDeviceGetAttribute") && result >= 700;
                if (!RELEASES.contains(function) && !livesOn) {
                    assertEquals(List.of(), recorder.violations(), what);
                } else {
                    recorder.violations().forEach(v -> assertTrue(v.startsWith("leaked: "), what + ": " + v));
                }
                tried.merge(function, 1, Integer::sum);
            }
        }
        recorder.reset();
        use.run();
        System.out.println("faults with result " + result + ": " + tried);
        assertTrue(operations.size() >= leastOperations, operations.toString());
        return tried;
    }

    private static void checkError(String what, RuntimeException e, int result, Set<String> operations) {
        if (e instanceof CudaException cuda) {
            assertEquals(result, cuda.result(), what + ": " + e);
            assertTrue(OPERATIONS.contains(cuda.operation()), what + ": " + e);
            assertTrue(e.getMessage().startsWith(cuda.operation() + ": "), e.getMessage());
            assertTrue(cuda.detail().contains("cu") && cuda.detail().contains("CUDA_ERROR_"), what + ": " + e);
            assertTrue(e.getMessage().endsWith("(CUDA error " + result + ")"), e.getMessage());
            assertEquals(result >= 700 && result < 800, cuda.contextLost(), what);
            operations.add(cuda.operation());
        } else if (e instanceof BackendUnavailableException) {
            // The probe, which is made again when the backend is opened.
            assertTrue(e.getMessage().contains("(CUDA error " + result + ")"), what + ": " + e);
        } else {
            throw new AssertionError(what + " became " + e, e);
        }
    }

    @Test
    void bestFallsBackWhereTheDeviceCannotBeOpened(Recorder recorder) {
        String why = "Backend.open: cuDevicePrimaryCtxRetain of device 0: CUDA_ERROR_OUT_OF_MEMORY (CUDA error 2)";
        recorder.fail("cuDevicePrimaryCtxRetain", 0, Recorder.OUT_OF_MEMORY);
        try (Backend backend = Backend.best()) {
            assertEquals("cpu", backend.name());
        }
        BackendProbe probe = Backend.probes().getFirst();
        assertEquals("cuda", probe.name());
        assertFalse(probe.available());
        assertTrue(probe.detail().endsWith("; but it could not be opened: " + why), probe.detail());
        assertEquals(why, assertThrows(CudaException.class, () -> Backend.open("cuda")).getMessage());

        recorder.clearFaults();
        try (Backend backend = Backend.best()) {
            assertEquals("cuda", backend.name());
        }
        assertTrue(Backend.probes().getFirst().available());
    }

    // ---- what a lost context leaves

    private static void assertLost(String operation, Executable call) {
        CudaException e = assertThrows(CudaException.class, call);
        assertEquals(operation, e.operation());
        assertTrue(e.contextLost());
        assertTrue(e.detail().startsWith("the context of device 0 is lost since "), e.detail());
        assertNotNull(e.getCause());
    }

    @Test
    void afterALostContextEveryCallSaysSoAndNothingCrashes(Recorder recorder) {
        CudaBackend backend = (CudaBackend) Backend.open("cuda");
        Memory memory = backend.allocate(60);
        Memory targets = backend.allocate(24);
        Memory loss = backend.allocate(4);
        PinnedMemory pinned = backend.allocatePinned(8);
        CudaStream stream = backend.newStream();
        CudaEvent event = backend.newEvent();
        CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), stream);
        Tensor z = Tensor.of(DType.F32, memory, 0, 3, 5);
        Tensor t = Tensor.of(DType.I64, targets, 0, 3);
        Tensor l = Tensor.of(DType.F32, loss, 0);
        Adam adam = Adam.on(backend, AdamOptions.adam(),
                List.of(AdamParameter.of("p", Tensor.of(DType.F32, memory, 0, 5),
                        Tensor.of(DType.F32, memory, 20, 5))));
        recorder.fail("cuLaunchKernel", 2, Recorder.LAUNCH_FAILED);
        CudaException e = assertThrows(CudaException.class, () -> op.lossAndGradient(z, t, l, z));
        assertEquals("CrossEntropy.lossAndGradient: cuLaunchKernel(cross_entropy_loss_grad_f32_thread, grid 1, block"
                + " 128, shared 2576): CUDA_ERROR_LAUNCH_FAILED; the context of device 0 is lost (CUDA error 719)",
                e.getMessage());
        assertTrue(e.contextLost());

        recorder.clearLog();
        assertLost("CrossEntropy.loss", () -> op.loss(z, t, l));
        assertLost("Adam.step", adam::step);
        assertEquals(0, adam.stepCount());
        assertLost("Stream.synchronize", stream::synchronize);
        assertLost("Stream.synchronize", () -> backend.defaultStream().synchronize());
        assertLost("Backend.copy", () -> backend.copy(z, Tensor.of(new float[15], 3, 5)));
        assertLost("Backend.allocate", () -> backend.allocate(8));
        assertLost("CudaBackend.allocatePinned", () -> backend.allocatePinned(8));
        assertLost("CudaBackend.wrap", () -> backend.wrap(memory.address(), 8));
        assertLost("CudaBackend.newStream", backend::newStream);
        assertLost("CudaBackend.newEvent", backend::newEvent);
        assertLost("CudaEvent.record", () -> event.record(stream));
        assertLost("CrossEntropy.on", () -> CrossEntropy.on(backend, CrossEntropyOptions.defaults()));
        assertEquals(List.of(), recorder.calls(), "a lost context is left alone");

        op.close();
        adam.close();
        event.close();
        stream.close();
        pinned.close();
        loss.close();
        backend.close();
        targets.close();
        memory.close();

        // The context went with its last user: the device can be opened again.
        recorder.clearFaults();
        useEverything();
    }

    @Test
    void whatFailsLaterIsRaisedBySynchronize(Recorder recorder) {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda")) {
            recorder.fail("cuStreamSynchronize", 1, Recorder.ILLEGAL_ADDRESS);
            CudaException e = assertThrows(CudaException.class, () -> backend.defaultStream().synchronize());
            assertEquals("Stream.synchronize: cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS; the context of device 0"
                    + " is lost (CUDA error 700)", e.getMessage());
        }
    }

    /** As long as other code holds the context too, it stays lost, and opening says so. */
    @Test
    void aLostContextThatOthersHoldIsSaidOnOpening(Recorder recorder) {
        recorder.driver("cuInit", 0);
        recorder.driverOut("cuDevicePrimaryCtxRetain", 0);
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda")) {
            recorder.fail("cuMemAlloc_v2", 1, Recorder.ILLEGAL_ADDRESS);
            assertThrows(CudaException.class, () -> backend.allocate(8));
        }
        CudaException e = assertThrows(CudaException.class, () -> Backend.open("cuda"));
        assertEquals("Backend.open", e.operation());
        assertTrue(e.contextLost());
        recorder.driver("cuDevicePrimaryCtxRelease_v2", 0);
        Backend.open("cuda").close();
    }

    // ---- errors that the context survives

    @Test
    void outOfMemoryWhileScratchGrowsLeavesTheOperationUsable(Recorder recorder) {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda");
                Memory memory = backend.allocate(4000);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            Tensor l = Tensor.of(DType.F32, memory, 3996);
            Tensor z = Tensor.of(DType.F32, memory, 0, 100, 2);
            Tensor t = Tensor.of(DType.I64, memory, 800, 100);
            recorder.fail("cuMemAlloc_v2", 1, Recorder.OUT_OF_MEMORY);
            recorder.clearLog();
            CudaException e = assertThrows(CudaException.class, () -> op.loss(z, t, l));
            assertEquals("CrossEntropy.loss", e.operation());
            assertFalse(e.contextLost());
            assertEquals(0, recorder.launches().size());
            op.loss(z, t, l);
            assertEquals(3, recorder.launches().size());
        }
    }

    @Test
    void anOptimizerWhoseStepFailsHasNotStepped(Recorder recorder) {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda");
                Memory memory = backend.allocate(64);
                Adam adam = Adam.on(backend, AdamOptions.adam(), List.of(AdamParameter.of("p",
                        Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 32, 8))))) {
            adam.step();
            recorder.fail("cuLaunchKernel", 1, Recorder.INVALID_VALUE);
            CudaException e = assertThrows(CudaException.class, adam::step);
            assertEquals("Adam.step: cuLaunchKernel(adam_step_f32, grid 1, block 256): CUDA_ERROR_INVALID_VALUE"
                    + " (CUDA error 1)", e.getMessage());
            assertEquals(1, adam.stepCount());
            adam.step();
            assertEquals(2, adam.stepCount());
        }
    }

    @Test
    void theCompilersLogIsInTheError(Recorder recorder) {
        recorder.setDriverVersion(11080);
        recorder.setDevice(0, 90, 132, 1L << 30);
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda")) {
            // The driver is exchanged for an older one behind our back: it does not know the PTX's version.
            recorder.setDriverVersion(11040);
            CudaException e =
                    assertThrows(CudaException.class, () -> Adam.on(backend, AdamOptions.adam(), List.of()));
            assertEquals(
                    "Adam.on: cuModuleLoadDataEx(adam.sm_90.ptx): the driver's compiler says: ptxas application ptx"
                            + " input, line 1; fatal   : Unsupported .version 7.8:"
                            + " CUDA_ERROR_UNSUPPORTED_PTX_VERSION (CUDA error 222)",
                    e.getMessage());
            recorder.setDriverVersion(11080);
            Adam.on(backend, AdamOptions.adam(), List.of()).close();
        }
    }

    /** JCuda's exceptions belong to the whole process: whoever turns them on still gets ours. */
    @Test
    void jcudasOwnExceptionsBecomeOurs(Recorder recorder) {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda");
                Memory memory = backend.allocate(64);
                Adam adam = Adam.on(backend, AdamOptions.adam(), List.of(AdamParameter.of("p",
                        Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 32, 8))))) {
            JCudaDriver.setExceptionsEnabled(true);
            try {
                recorder.fail("cuMemAlloc_v2", 1, Recorder.OUT_OF_MEMORY);
                assertEquals(Recorder.OUT_OF_MEMORY,
                        assertThrows(CudaException.class, () -> backend.allocate(64)).result());
                recorder.fail("cuLaunchKernel", 1, Recorder.ILLEGAL_ADDRESS);
                CudaException e = assertThrows(CudaException.class, adam::step);
                assertEquals(Recorder.ILLEGAL_ADDRESS, e.result());
            } finally {
                JCudaDriver.setExceptionsEnabled(false);
            }
        }
    }

    @Test
    void closingGoesOnAfterAFailureAndTellsAll(Recorder recorder) {
        CudaBackend backend = (CudaBackend) Backend.open("cuda");
        List<Memory> left = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            left.add(backend.allocate(64));
        }
        recorder.fail("cuMemFree_v2", 1, Recorder.UNKNOWN);
        recorder.fail("cuMemFree_v2", 3, Recorder.INVALID_VALUE);
        CudaException e = assertThrows(CudaException.class, backend::close);
        assertEquals(Recorder.UNKNOWN, e.result());
        assertEquals(1, e.getSuppressed().length);
        assertEquals(Recorder.INVALID_VALUE, ((CudaException) e.getSuppressed()[0]).result());
        assertEquals(2, recorder.violations().size(), "the two that could not be freed went with the context");
        backend.close();
        left.forEach(Memory::close);
        recorder.reset();
    }
}
