package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.IsobitException;
import dev.isobit.Tensor;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Graphs as the driver sees them, and what is no graph: refused, with the stream as it was. */
@RecorderTest
class RecorderGraphTest {
    private CudaBackend backend;
    private CudaStream stream;
    private CrossEntropy crossEntropy;
    private Adam adam;
    private Tensor logits;
    private Tensor targets;
    private Tensor loss;

    @BeforeEach
    void open() {
        backend = (CudaBackend) Backend.open("cuda");
        stream = backend.newStream();
        crossEntropy = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), stream);
        logits = backend.allocate(DType.F32, 3, 5);
        targets = backend.allocate(DType.I64, 3);
        loss = backend.allocate(DType.F32);
        adam = Adam.on(backend, AdamOptions.adamW(),
                List.of(AdamParameter.of("p", backend.allocate(DType.F32, 8), backend.allocate(DType.F32, 8))), stream);
    }

    @AfterEach
    void close() {
        backend.close();
    }

    private void call() {
        crossEntropy.lossAndGradient(logits, targets, loss, logits);
    }

    /** A launch without where it stands in the log. */
    private static List<Object> given(Recorder.Launch launch) {
        return List.of(launch.function(), launch.grid(), launch.block(), launch.shared(), launch.stream(),
                IntStream.range(0, launch.arguments().length).mapToObj(i -> launch.arguments()[i]).toList());
    }

    @Test
    void aReplayIsTheLaunchesOfTheCalls(Recorder recorder) {
        recorder.clearLog();
        call();
        List<List<Object>> direct = recorder.launches().stream().map(RecorderGraphTest::given).toList();
        assertEquals(3, direct.size());
        recorder.clearLog();
        try (CudaGraph graph = stream.capture(this::call)) {
            assertEquals(List.of(), recorder.launches(), "nothing runs while it is captured");
            recorder.clearLog();
            graph.launch();
            graph.launch();
            assertEquals(List.of("cuCtxSetCurrent", "cuGraphLaunch", "cuCtxSetCurrent", "cuGraphLaunch"),
                    recorder.calls());
            List<List<Object>> replays = recorder.launches().stream().map(RecorderGraphTest::given).toList();
            assertEquals(direct, replays.subList(0, 3));
            assertEquals(direct, replays.subList(3, 6));
        }
    }

    @Test
    void whatAllocatesIsRefusedAndTheStreamGoesOn() {
        var e = assertThrows(IllegalStateException.class, () -> stream.capture(this::call));
        assertEquals("CudaStream.capture: CrossEntropy.lossAndGradient waits, allocates or loads kernels, which a graph"
                + " cannot; call each operation once, with these shapes, before it is captured", e.getMessage());
        call();
        stream.capture(this::call).close();
    }

    @Test
    void whatWaitsIsRefused() {
        call();
        var e = assertThrows(IllegalStateException.class, () -> stream.capture(stream::synchronize));
        assertEquals("Stream.synchronize: the stream is captured, nothing runs that could be waited for",
                e.getMessage());
        e = assertThrows(IllegalStateException.class,
                () -> stream.capture(() -> backend.copy(Tensor.of(new float[15], 3, 5), logits)));
        assertTrue(e.getMessage().startsWith("CudaStream.capture: Backend.copy waits"), e.getMessage());
        e = assertThrows(IllegalStateException.class, () -> stream.capture(() -> stream.capture(this::call)));
        assertEquals("CudaStream.capture: the stream is captured already", e.getMessage());
        stream.capture(this::call).close();
    }

    @Test
    void whatTheCallerThrowsIsThrown() {
        var wanted = new UnsupportedOperationException("the caller's");
        assertEquals(wanted, assertThrows(UnsupportedOperationException.class, () -> stream.capture(() -> {
            throw wanted;
        })));
        call();
        stream.capture(this::call).close();
    }

    @Test
    void stepsThatTheHostCountsAreRepeatedOnlyWhereThatIsAskedFor() {
        var e = assertThrows(IllegalStateException.class, () -> stream.capture(adam::step));
        assertEquals("Adam.step: the host counts its steps, so that every replay of a graph would be this one; "
                + "StepOptions (skipNonFinite, say) let the device count", e.getMessage());
        assertEquals(0, adam.stepCount());
        try (CudaGraph graph = stream.captureRepeating(adam::step)) {
            graph.launch();
            graph.launch();
        }
        adam.step();
    }

    @Test
    void whatIsClosedIsNotReplayed(Recorder recorder) {
        call();
        CudaGraph graph = stream.capture(this::call);
        crossEntropy.close();
        recorder.clearLog();
        var e = assertThrows(IllegalStateException.class, graph::launch);
        assertEquals("CudaGraph.launch: an operation that was captured is closed", e.getMessage());
        graph.close();
        graph.close();
        e = assertThrows(IllegalStateException.class, graph::launch);
        assertEquals("CudaGraph.launch: the graph is closed", e.getMessage());
        assertEquals(List.of(), recorder.launches());
        CudaGraph second = stream.captureRepeating(adam::step);
        stream.close();
        e = assertThrows(IllegalStateException.class, second::launch);
        assertEquals("CudaGraph.launch: the stream is closed", e.getMessage());
    }

    /** What is wrong with the operands is said as ever, and what was captured before it is dropped. */
    @Test
    void aBadCallWithinACapture() {
        call();
        assertThrows(IllegalArgumentException.class, () -> stream.capture(() -> {
            call();
            crossEntropy.loss(logits, loss, loss);
        }));
        AtomicInteger calls = new AtomicInteger();
        stream.capture(() -> {
            calls.incrementAndGet();
            call();
        }).close();
        assertEquals(1, calls.get());
    }

    @Test
    void theDefaultStreamCanBeCapturedTheLegacyOneNot() {
        try (CrossEntropy here = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            here.loss(logits, targets, loss);
            backend.defaultStream().capture(() -> here.loss(logits, targets, loss)).close();
        }
        try (CudaStream legacy = backend.wrapStream(0)) {
            var e = assertThrows(IsobitException.class, () -> legacy.capture(() -> {}));
            assertTrue(e.getMessage().startsWith("CudaStream.capture: cuStreamBeginCapture: "), e.getMessage());
        }
    }
}
