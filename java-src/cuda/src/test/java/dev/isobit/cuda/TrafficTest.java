package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Bytes of global memory that cross-entropy moves, to the byte: one read of the logits and one write of the gradient where a
 * row fits on chip, of a longer one a second read of what does not, and per row only its target, that class's logit and its
 * loss beside. In accesses of 128 bits, wherever a row starts.
 */
class TrafficTest {
    private static final int SEGMENT = 8192;

    private static Backend cpu;

    @BeforeAll
    static void open() {
        cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
    }

    @AfterAll
    static void close() {
        cpu.close();
    }

    /** A call and what it moved. */
    private static final class Traffic {
        final CrossEntropyCase call;
        final int size;
        long read;
        long written;
        /** Elements of logits and gradient that were moved alone. */
        long readAlone;
        long writtenAlone;

        Traffic(DType dtype, int classes, boolean gradient, int skip, int stash) {
            int rows = classes <= 32 ? 256 : classes <= 2048 ? 64 : 5;
            size = dtype.byteSize();
            call = new CrossEntropyCase(rows, classes, new Random(classes));
            call.dtype = dtype;
            call.reduction = Reduction.NONE;
            call.gradLoss = null;
            call.wantsGradient = gradient;
            call.logitsSkip = skip * size;
            call.gradSkip = skip * size;
            call.grid = 1;
            call.stash = stash;
            call.expect(cpu);
            try (var kernels = new PtxKernels(false)) {
                String alone = dtype == DType.F32 ? ".f32" : ".u16";
                kernels.tracer = (block, warp, mask, source, instruction) -> {
                    if (instruction.contains("ld.global") && instruction.contains(alone)
                            && !instruction.contains(".v4")) {
                        readAlone += Integer.bitCount(mask);
                    } else if (instruction.contains("st.global") && instruction.contains(alone)
                            && !instruction.contains(".v4")) {
                        writtenAlone += Integer.bitCount(mask);
                    }
                };
                call.check(kernels);
                read = kernels.bytesRead;
                written = kernels.bytesWritten;
            }
        }

        long elements() {
            return (long) call.rows * call.classes;
        }

        /** Threads that work on a row: each asks for its target and, together with others in one access, for its logit. */
        int threads() {
            return switch (call.variant) {
                case "thread" -> 1;
                case "warp" -> call.classes <= 256 ? 8 : call.classes <= 512 ? 16 : 32;
                case "wide" -> 32;
                default -> call.blockSize();
            };
        }

        boolean staged() {
            return call.variant.equals("thread");
        }

        long expectedRead() {
            long perRow = threads() * (8L + (staged() ? 0 : size));
            long again = call.wantsGradient ? Math.ceilDiv(call.classes, SEGMENT) - 1 - call.stash : 0;
            // A block asks, when it is done, which row has the first target out of range.
            long status = call.variant.equals("block") ? 8 : 0;
            return elements() * size + call.rows * (perRow + again * SEGMENT * size) + status;
        }

        long expectedWritten() {
            boolean corrects = call.wantsGradient && !staged();
            return (call.wantsGradient ? elements() * size : 0) + call.rows * (4L + (corrects ? size : 0));
        }

        /** At both ends of a segment, less than an access each. */
        long mostAlone() {
            return 2L * (16 / size - 1) * call.rows * Math.ceilDiv(call.classes, SEGMENT);
        }

        void check() {
            assertEquals(expectedRead(), read, call + ": bytes read");
            assertEquals(expectedWritten(), written, call + ": bytes written");
            long targets = staged() ? 0 : (long) threads() * call.rows;
            long times = call.wantsGradient && call.stash == 0 ? 2 : 1;
            assertTrue(readAlone - targets <= times * mostAlone(), call + ": " + readAlone + " logits read alone");
            // The loss is a float, too; and the gradient at the target.
            assertTrue(writtenAlone - 2L * call.rows <= mostAlone(), call + ": " + writtenAlone + " written alone");
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void oneReadAndOneWriteOfWhatFitsOnChip(DType dtype) {
        for (int classes : new int[] {1, 2, 3, 7, 10, 17, 31, 32, 33, 63, 64, 100, 255, 256, 257, 512, 777, 1000, 1024,
            1025, 2047, 2048, 2049, 4095, 4096, 8191, 8192}) {
            new Traffic(dtype, classes, false, 0, 0).check();
            new Traffic(dtype, classes, true, 0, 0).check();
            if (classes > 32) {
                new Traffic(dtype, classes, true, 1, 0).check();
            }
        }
    }

    /** The last segment stays in registers, as many of the others in shared memory as there is room for. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void longRowsAreReadTwiceButForWhatStaysOnChip(DType dtype) {
        for (int classes : new int[] {8193, 20_001, 32_000}) {
            new Traffic(dtype, classes, false, 1, 0).check();
            new Traffic(dtype, classes, true, 0, 0).check();
            new Traffic(dtype, classes, true, 1, 0).check();
            new Traffic(dtype, classes, true, 0, Math.ceilDiv(classes, SEGMENT) - 1).check();
        }
    }
}
