package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every way to launch hands the driver the same. The other tests run with each of them in turn, see pom.xml. */
@RecorderTest
class RecorderLaunchTest {
    private String property;

    @BeforeEach
    void remember() {
        property = System.getProperty(LaunchMethod.PROPERTY);
        System.clearProperty(LaunchMethod.PROPERTY);
    }

    @AfterEach
    void restore() {
        if (property == null) {
            System.clearProperty(LaunchMethod.PROPERTY);
        } else {
            System.setProperty(LaunchMethod.PROPERTY, property);
        }
    }

    private static void assertLaunchesThrough(String words) {
        try (Backend backend = Backend.open("cuda")) {
            assertTrue(backend.description().endsWith(", launches through " + words), backend.description());
        }
    }

    @Test
    void aPropertyChooses() {
        assertLaunchesThrough("JCuda");
        System.setProperty(LaunchMethod.PROPERTY, "jcuda");
        assertLaunchesThrough("JCuda");
        System.setProperty(LaunchMethod.PROPERTY, "ffm");
        assertLaunchesThrough("java.lang.foreign");
        System.setProperty(LaunchMethod.PROPERTY, "FFM");
        var e = assertThrows(IllegalArgumentException.class, () -> Backend.open("cuda"));
        assertEquals("isobit.cuda.launcher = FFM is none of jcuda, ffm", e.getMessage());
    }

    private static CudaBackend open(LaunchMethod method) {
        return new CudaProvider().open(BackendOptions.defaults(), method);
    }

    /** Launches on all kinds of streams and on a thread that has no context, as the driver got them. */
    private static List<String> launches(LaunchMethod method, Recorder recorder) {
        recorder.reset();
        List<String> seen = new ArrayList<>();
        try (CudaBackend backend = open(method);
                Memory memory = backend.allocate(4096);
                CudaStream own = backend.newStream();
                CudaStream wrapped = backend.wrapStream(own.handle());
                CudaStream legacy = backend.wrapStream(0)) {
            List<CudaStream> streams = List.of(backend.defaultStream(), own, wrapped, legacy);
            Tensor logits = Tensor.of(DType.F32, memory, 0, 3, 300);
            Tensor targets = Tensor.of(DType.I64, memory, 3600, 3);
            Tensor loss = Tensor.of(DType.F32, memory, 3624);
            for (CudaStream stream : streams) {
                try (CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), stream);
                        Adam adam = Adam.on(backend, AdamOptions.adamW(), List.of(AdamParameter.of("p",
                                Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 32, 8))), stream)) {
                    recorder.clearLog();
                    op.lossAndGradient(logits, targets, loss, logits);
                    adam.step();
                    Thread fresh = Thread.ofPlatform().start(adam::step);
                    fresh.join();
                    // Addresses differ from one opening to the next.
                    for (Recorder.Launch launch : recorder.launches()) {
                        assertEquals(stream.handle(), launch.stream());
                        seen.add(launch.function() + " " + launch.grid() + " " + launch.block() + " " + launch.shared()
                                + " " + streams.indexOf(stream) + " " + launch.arguments().length + " bytes");
                    }
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            }
        }
        return seen;
    }

    @Test
    void allHandTheDriverTheSame(Recorder recorder) {
        List<String> expected = launches(LaunchMethod.JCUDA, recorder);
        assertEquals(4 * 5, expected.size(), expected.toString());
        assertEquals(expected, launches(LaunchMethod.FFM, recorder));
    }

    @ParameterizedTest
    @EnumSource
    void errorsOfTheDriverAreTheSame(LaunchMethod method, Recorder recorder) {
        try (CudaBackend backend = open(method);
                Memory memory = backend.allocate(64);
                Adam adam = Adam.on(backend, AdamOptions.adam(), List.of(AdamParameter.of("p",
                        Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 32, 8))))) {
            for (String function : List.of("cuCtxSetCurrent", "cuLaunchKernel")) {
                recorder.clearLog();
                recorder.fail(function, 1, Recorder.INVALID_VALUE);
                CudaException e = assertThrows(CudaException.class, adam::step);
                assertEquals("Adam.step: cuLaunchKernel(adam_step_f32, grid 1, block 256): CUDA_ERROR_INVALID_VALUE"
                        + " (CUDA error 1)", e.getMessage());
                assertEquals(0, recorder.launches().size());
            }
            adam.step();
            assertEquals(1, adam.stepCount());
        }
    }

    /** Both at once in a process, on one device, interleaved. */
    @Test
    void bothWorkSideBySide(Recorder recorder) {
        Set<String> seen = new HashSet<>();
        try (CudaBackend jcuda = open(LaunchMethod.JCUDA); CudaBackend ffm = open(LaunchMethod.FFM)) {
            for (CudaBackend backend : List.of(jcuda, ffm, jcuda)) {
                recorder.clearLog();
                try (Memory memory = backend.allocate(64);
                        Adam adam = Adam.on(backend, AdamOptions.adam(), List.of(AdamParameter.of("p",
                                Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 32, 8))))) {
                    adam.step();
                    Recorder.Launch launch = recorder.launches().getFirst();
                    seen.add(launch.function() + launch.grid() + launch.block());
                }
            }
        }
        assertEquals(Set.of("adam_step_f32[1, 1, 1][256, 1, 1]"), seen);
    }
}
