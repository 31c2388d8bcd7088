package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** SGD as the driver sees it: its launches, every byte of their blocks, and of the table they point to. */
@RecorderTest
class RecorderSgdTest {
    private static final int MULTIPROCESSORS = 3;

    private static CudaBackend open(Recorder recorder) {
        recorder.setDevice(0, 80, MULTIPROCESSORS, 1L << 30);
        return (CudaBackend) Backend.open("cuda");
    }

    private static Tensor at(CudaBackend backend, long address, long elements) {
        return Tensor.of(DType.F32, new CudaMemory(backend.driver(), address, 1L << 44), 0, elements);
    }

    /** Block of one group, of which all else is zero. */
    private static byte[] block(long table, long chunks, int group, float[] scalars, int flags) {
        ByteBuffer to = ByteBuffer.allocate(16 + 64 * 20).order(ByteOrder.LITTLE_ENDIAN).putLong(table)
                .putLong(chunks);
        to.position(16 + 20 * group);
        for (float scalar : scalars) {
            to.putFloat(scalar);
        }
        return to.putInt(flags).array();
    }

    @Test
    void everyByteOfEveryStepIsExact(Recorder recorder) {
        SgdOptions momentum = SgdOptions.defaults().withLr(0.5).withMomentum(0.75).withWeightDecay(0.25);
        try (CudaBackend backend = open(recorder)) {
            for (SgdOptions options : List.of(SgdOptions.defaults().withLr(0.5).withMaximize(true),
                    momentum.withNesterov(true), momentum.withDampening(0.5))) {
                List<SgdParameter> parameters = new ArrayList<>();
                List<long[]> chunks = new ArrayList<>();
                long[] sizes = {2049, 0, 5, 100_000};
                for (int i = 0; i < sizes.length; i++) {
                    long base = (i + 1L) << 46;
                    boolean hasBuffer = options.momentum() != 0;
                    parameters.add(new SgdParameter("p" + i, at(backend, base + 4, sizes[i]),
                            at(backend, base + (1L << 44), sizes[i]),
                            hasBuffer ? at(backend, base + (2L << 44) + 8, sizes[i]) : null));
                    for (long first = 0; first < sizes[i]; first += 2048) {
                        chunks.add(new long[] {base + 4 + 4 * first, base + (1L << 44) + 4 * first,
                            hasBuffer ? base + (2L << 44) + 8 + 4 * first : 0, Math.min(2048, sizes[i] - first)});
                    }
                }
                try (CudaStream stream = backend.newStream();
                        Sgd sgd = Sgd.on(backend, options, parameters, stream)) {
                    for (int step = 1; step <= 2; step++) {
                        recorder.clearLog();
                        sgd.step();
                        assertEquals(List.of("cuCtxSetCurrent", "cuLaunchKernel"), recorder.calls());
                        Recorder.Launch launch = recorder.launches().getFirst();
                        long table = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
                        int flags = (options.maximize() ? 1 : 0) | (options.weightDecay() != 0 ? 2 : 0)
                                | (options.nesterov() ? 4 : 0) | (step == 1 ? 8 : 0);
                        assertEquals(new LaunchExpectation("sgd_step_f32", Math.min((chunks.size() + 7) / 8, 12), 256,
                                0, block(table, chunks.size(), 0,
                                        new float[] {-0.5f, (float) options.momentum(),
                                            (float) (1 - options.dampening()), (float) options.weightDecay()},
                                        flags))
                                .text(stream.handle()), LaunchExpectation.text(launch));
                        ByteBuffer found =
                                ByteBuffer.wrap(recorder.read(table, 32 * chunks.size()))
                                        .order(ByteOrder.LITTLE_ENDIAN);
                        for (int i = 0; i < chunks.size(); i++) {
                            for (int field = 0; field < 4; field++) {
                                assertEquals(chunks.get(i)[field], found.getLong(32 * i + 8 * field),
                                        "chunk " + i + " field " + field);
                            }
                        }
                    }
                }
            }
        }
    }

    /**
     * 64 groups are in the argument block; of more the device has the scalars: one launch, with the same bytes in every step,
     * and the host does nothing for a group.
     */
    @Test
    void groupsOfALaunch(Recorder recorder) {
        for (int count : new int[] {64, 65, 10_000}) {
            try (CudaBackend backend = open(recorder); Memory memory = backend.allocate(32L * count)) {
                List<SgdGroup> groups = new ArrayList<>();
                for (int g = 0; g < count; g++) {
                    List<SgdParameter> parameters = g % 2 == 0
                            ? List.of()
                            : List.of(SgdParameter.of("p" + g, Tensor.of(DType.F32, memory, 32L * g, 4),
                                    Tensor.of(DType.F32, memory, 32L * g + 16, 4)));
                    groups.add(new SgdGroup(SgdOptions.defaults().withLr(g / 1000), parameters));
                }
                try (Sgd sgd = Sgd.on(backend, groups)) {
                    sgd.setEnabled(3, false);
                    recorder.clearLog();
                    sgd.step();
                    List<String> functions = recorder.launches().stream().map(Recorder.Launch::function).toList();
                    ByteBuffer arguments = ByteBuffer.wrap(recorder.launches().getLast().arguments())
                            .order(ByteOrder.LITTLE_ENDIAN);
                    if (count == 64) {
                        assertEquals(List.of("sgd_step_f32"), functions);
                        assertEquals(32, arguments.getLong(8));
                        assertEquals(8 + 16, arguments.getInt(16 + 20 * 3 + 16), "first and disabled");
                        assertEquals(0, sgd.stepCount(3));
                        assertEquals(1, sgd.stepCount(4));
                        assertThrows(IllegalStateException.class, sgd::queueChanges);
                        continue;
                    }
                    assertEquals(List.of("guard_set", "sgd_guarded_f32"), functions);
                    assertEquals(count, arguments.getLong(88), "groups");
                    assertEquals(0, arguments.getInt(124), "nothing is guarded");
                    assertEquals(count / 2, arguments.getLong(128 + 8), "chunks");
                    ByteBuffer chunk = ByteBuffer
                            .wrap(recorder.read(arguments.getLong(128) + 32L * (count / 2 - 1), 32))
                            .order(ByteOrder.LITTLE_ENDIAN);
                    int last = (count - 2) / 2 * 2 + 1;
                    assertEquals(memory.address() + 32L * last, chunk.getLong(0));
                    assertEquals(4, chunk.getInt(24));
                    assertEquals(last, chunk.getInt(28), "its group");
                    byte[] first = recorder.launches().getLast().arguments();
                    recorder.clearLog();
                    sgd.step();
                    assertEquals(List.of("cuCtxSetCurrent", "cuLaunchCooperativeKernel"), recorder.calls());
                    assertArrayEquals(first, recorder.launches().getLast().arguments());
                    // What StepOptions bring is not there.
                    assertThrows(IllegalStateException.class, sgd::stepState);
                    assertThrows(IllegalStateException.class, sgd::gradScale);
                    assertThrows(IllegalStateException.class, sgd::accumulateAndStep);
                    sgd.queueChanges();
                }
            }
        }
    }
}
