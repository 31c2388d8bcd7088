package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertNull;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.LrSchedule;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.math.StepMath;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Arrays;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Kernels in Java for the recording driver: each does what kernels/*_params.h say of it, knowing nothing but the
 * argument block. So the whole way of a call is tested, from the façade to what it writes, with no device; and the
 * tests that are written for devices are tried.
 */
final class RecorderKernels implements BeforeEachCallback, AfterEachCallback {
    private static final int NAN = 0x7fc00000;
    private static Throwable failure;

    @Override
    @SuppressWarnings("restricted")
    public void beforeEach(ExtensionContext context) throws ReflectiveOperationException {
        failure = null;
        RecorderExtension.recorder().setKernels(Linker.nativeLinker().upcallStub(
                MethodHandles.lookup().findStatic(RecorderKernels.class, "launch",
                        MethodType.methodType(void.class, long.class)),
                FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG), Arena.global()));
    }

    @Override
    public void afterEach(ExtensionContext context) {
        assertNull(failure, "a kernel failed");
    }

    /** Called by the driver for a launch; whatever it threw would end the process. */
    private static void launch(long address) {
        try {
            MemorySegment launch = view(address, 176 + 4096);
            MemorySegment block = launch.asSlice(176, launch.get(ValueLayout.JAVA_INT, 172));
            String function = launch.getString(0);
            if (function.startsWith("adam_step_f32")) {
                adam(block, function.endsWith("_amsgrad"));
            } else if (function.equals("sgd_step_f32")) {
                sgd(block);
            } else if (function.equals("guard_set")) {
                setGroups(block);
            } else if (function.startsWith("adam_guarded_f32")) {
                adam(ofManyGroups(block, 32, RecorderKernels::adamGroup), function.endsWith("_amsgrad"));
            } else if (function.equals("sgd_guarded_f32")) {
                sgd(ofManyGroups(block, 20, RecorderKernels::sgdGroup));
            } else if (function.equals("cross_entropy_count")) {
                count(block);
            } else if (function.equals("cross_entropy_reduce_loss_f32")) {
                reduce(block);
            } else {
                rows(block, function.startsWith("cross_entropy_loss_grad_"), function.contains("_bf16_")
                        ? DType.BF16
                        : function.contains("_f16_") ? DType.F16 : DType.F32);
            }
        } catch (Throwable e) {
            failure = e;
        }
    }

    private static MemorySegment view(long address, long bytes) {
        return CudaLibrary.view(address, bytes, Arena.global());
    }

    // ---- the argument block of cross-entropy

    private static long field(MemorySegment block, int index) {
        return block.get(ValueLayout.JAVA_LONG_UNALIGNED, 8L * index);
    }

    private static final int LOGITS = 0;
    private static final int TARGETS = 1;
    private static final int GRAD_LOSS = 2;
    private static final int ROW_LOSS = 3;
    private static final int LOSS = 4;
    private static final int GRAD_LOGITS = 5;
    private static final int DENOMINATOR_PARTS = 6;
    private static final int STATUS = 9;
    private static final int ROWS = 10;
    private static final int CLASSES = 11;
    private static final int IGNORE_INDEX = 12;

    private static int flags(MemorySegment block) {
        return block.get(ValueLayout.JAVA_INT_UNALIGNED, 104);
    }

    private static int countBlocks(MemorySegment block) {
        return block.get(ValueLayout.JAVA_INT_UNALIGNED, 108);
    }

    private static long target(MemorySegment block, int row) {
        long at = field(block, TARGETS);
        return (flags(block) & 4) != 0
                ? view(at + 4L * row, 4).get(ValueLayout.JAVA_INT_UNALIGNED, 0)
                : view(at + 8L * row, 8).get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
    }

    private static boolean isBad(MemorySegment block, long target) {
        return target != field(block, IGNORE_INDEX) && (target < 0 || target >= field(block, CLASSES));
    }

    /** The rows that count, all told by the last block. */
    private static void count(MemorySegment block) {
        long counted = 0;
        for (int row = 0; row < field(block, ROWS); row++) {
            long target = target(block, row);
            counted += target != field(block, IGNORE_INDEX) && !isBad(block, target) ? 1 : 0;
        }
        MemorySegment parts = view(field(block, DENOMINATOR_PARTS), 8L * countBlocks(block));
        parts.fill((byte) 0);
        parts.setAtIndex(ValueLayout.JAVA_LONG, countBlocks(block) - 1L, counted);
    }

    private static long denominator(MemorySegment block) {
        long sum = 0;
        for (int i = 0; i < countBlocks(block); i++) {
            sum += view(field(block, DENOMINATOR_PARTS) + 8L * i, 8).get(ValueLayout.JAVA_LONG, 0);
        }
        return sum;
    }

    private static void rows(MemorySegment block, boolean gradient, DType dtype) {
        int rows = (int) field(block, ROWS);
        int classes = (int) field(block, CLASSES);
        long ignore = field(block, IGNORE_INDEX);
        boolean mean = (flags(block) & 1) != 0;
        boolean perRow = (flags(block) & 2) != 0;
        long[] targets = new long[rows];
        boolean[] bad = new boolean[rows];
        MemorySegment status = view(field(block, STATUS), 24);
        for (int row = 0; row < rows; row++) {
            long target = target(block, row);
            bad[row] = isBad(block, target);
            targets[row] = bad[row] ? ignore : target;
            if (bad[row]) {
                status.set(ValueLayout.JAVA_LONG, 0, status.get(ValueLayout.JAVA_LONG, 0) + 1);
                if (Long.compareUnsigned(row, status.get(ValueLayout.JAVA_LONG, 8)) < 0) {
                    status.set(ValueLayout.JAVA_LONG, 8, row);
                    status.set(ValueLayout.JAVA_LONG, 16, target);
                }
            }
        }
        long bytes = (long) dtype.byteSize() * rows * classes;
        Tensor z = HostTensors.room(dtype, rows, classes);
        z.segment().copyFrom(view(field(block, LOGITS), bytes));
        float[] rowLoss = new float[rows];
        Tensor gradLogits = HostTensors.room(dtype, rows, classes);
        float[] upstream = new float[perRow ? rows : 1];
        upstream[0] = 1;
        if (field(block, GRAD_LOSS) != 0) {
            upstream = view(field(block, GRAD_LOSS), 4L * upstream.length).toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        }
        Tensor t = Tensor.of(targets, rows);
        try (Backend cpu = Backend.open("cpu");
                CrossEntropy none =
                        CrossEntropy.on(cpu, new CrossEntropyOptions(Reduction.NONE, ignore));
                CrossEntropy whole = CrossEntropy.on(cpu,
                        new CrossEntropyOptions(mean ? Reduction.MEAN : Reduction.NONE, ignore))) {
            none.loss(z, t, Tensor.of(rowLoss, rows));
            if (gradient) {
                whole.gradient(z, t, perRow ? Tensor.of(upstream, rows) : Tensor.of(upstream),
                        gradLogits);
            }
        }
        for (int row = 0; row < rows; row++) {
            if (bad[row]) {
                rowLoss[row] = Float.intBitsToFloat(NAN);
                float[] nan = new float[classes];
                Arrays.fill(nan, Float.NaN);
                long row0 = (long) dtype.byteSize() * row * classes;
                MemorySegment.copy(HostTensors.of(dtype, nan, classes).segment(), 0, gradLogits.segment(), row0,
                        (long) dtype.byteSize() * classes);
            }
        }
        if (field(block, ROW_LOSS) != 0) {
            MemorySegment.copy(rowLoss, 0, view(field(block, ROW_LOSS), 4L * rows),
                    ValueLayout.JAVA_FLOAT_UNALIGNED, 0, rows);
        }
        if (gradient) {
            view(field(block, GRAD_LOGITS), bytes).copyFrom(gradLogits.segment());
        }
    }

    /** Row losses as one row in index order: 1024 lanes, segments of 8192, joined in float64. */
    private static void reduce(MemorySegment block) {
        int rows = (int) field(block, ROWS);
        double total = 0;
        for (int first = 0; first < rows; first += 8192) {
            float[] lanes = new float[1024];
            for (int row = first; row < Math.min(rows, first + 8192); row++) {
                lanes[row % 1024] +=
                        view(field(block, ROW_LOSS) + 4L * row, 4).get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
            }
            for (int half = 512; half > 0; half /= 2) {
                for (int i = 0; i < half; i++) {
                    lanes[i] += lanes[i + half];
                }
            }
            total += lanes[0];
        }
        boolean mean = (flags(block) & 1) != 0;
        float loss = (float) (mean ? total / denominator(block) : total);
        view(field(block, LOSS), 4).set(ValueLayout.JAVA_INT_UNALIGNED, 0,
                Float.isNaN(loss) ? NAN : Float.floatToRawIntBits(loss));
    }

    // ---- Adam

    private static void adam(MemorySegment block, boolean amsgrad) {
        for (int chunk = 0; chunk < field(block, 1); chunk++) {
            MemorySegment entry = view(field(block, 0) + 48L * chunk, 48);
            MemorySegment[] operands = new MemorySegment[5];
            int count = entry.get(ValueLayout.JAVA_INT_UNALIGNED, 40);
            MemorySegment group = block.asSlice(16 + 32L * entry.get(ValueLayout.JAVA_INT_UNALIGNED, 44), 32);
            int flags = group.get(ValueLayout.JAVA_INT_UNALIGNED, 28);
            if ((flags & 4) != 0) {
                continue;
            }
            for (int i = 0; i < (amsgrad ? 5 : 4); i++) {
                operands[i] = view(field(entry, i), 4L * count);
            }
            for (int i = 0; i < count; i++) {
                float p = element(operands[0], i);
                float g = element(operands[1], i);
                float m = element(operands[2], i);
                float v = element(operands[3], i);
                g = (flags & 1) != 0 ? -g : g;
                g = (flags & 2) != 0 ? Math.fma(element(group, 6), p, g) : g;
                m = Math.fma(element(group, 0), g - m, m);
                v = Math.fma(element(group, 1), Math.fma(g, g, -v), v);
                float x = v;
                if (amsgrad) {
                    float largest = element(operands[4], i);
                    x = v > largest || v != v ? v : largest;
                    set(operands[4], i, x);
                }
                float divisor = Math.fma((float) Math.sqrt(x), element(group, 3), element(group, 4));
                set(operands[0], i, Math.fma(element(group, 2), m / divisor, p * element(group, 5)));
                set(operands[2], i, m);
                set(operands[3], i, v);
            }
        }
    }

    // ---- SGD

    private static void sgd(MemorySegment block) {
        for (int chunk = 0; chunk < field(block, 1); chunk++) {
            MemorySegment entry = view(field(block, 0) + 32L * chunk, 32);
            int count = entry.get(ValueLayout.JAVA_INT_UNALIGNED, 24);
            MemorySegment group = block.asSlice(16 + 20L * entry.get(ValueLayout.JAVA_INT_UNALIGNED, 28), 20);
            int flags = group.get(ValueLayout.JAVA_INT_UNALIGNED, 16);
            if ((flags & 16) != 0) {
                continue;
            }
            MemorySegment params = view(field(entry, 0), 4L * count);
            MemorySegment grads = view(field(entry, 1), 4L * count);
            MemorySegment buffers = field(entry, 2) == 0 ? null : view(field(entry, 2), 4L * count);
            for (int i = 0; i < count; i++) {
                float p = element(params, i);
                float g = (flags & 1) != 0 ? -element(grads, i) : element(grads, i);
                g = (flags & 2) != 0 ? Math.fma(element(group, 3), p, g) : g;
                float u = g;
                if (buffers != null) {
                    float kept = element(group, 2) * g;
                    float b = (flags & 8) != 0 ? g : Math.fma(element(group, 1), element(buffers, i), kept);
                    u = (flags & 4) != 0 ? Math.fma(element(group, 1), b, g) : b;
                    set(buffers, i, b);
                }
                set(params, i, Math.fma(element(group, 0), u, p));
            }
        }
    }

    // ---- guarded steps that guard nothing

    private static final int CONTROLS = 2;
    private static final int STEPS = 5;
    private static final int SCHEDULES = 6;
    private static final int GROUP_COUNT = 11;
    private static final int CHUNKS = 16;
    private static final int SETTINGS = 18;

    private static void setGroups(MemorySegment block) {
        for (int run = 0; run < field(block, 1); run++) {
            MemorySegment entry = block.asSlice(16 + 32L * run, 32);
            for (long group = field(entry, 0); group < field(entry, 0) + field(entry, 1); group++) {
                view(field(block, 0) + 16 * group, 16).copyFrom(entry.asSlice(16, 16));
            }
        }
    }

    /** Writes what a step does to a group. */
    private interface GroupScalars {
        void set(MemorySegment setting, double lr, long step, MemorySegment group);
    }

    /** The argument block of the step that is not guarded, with room for all groups. */
    private static MemorySegment ofManyGroups(MemorySegment block, int groupBytes, GroupScalars scalars) {
        int flags = block.get(ValueLayout.JAVA_INT_UNALIGNED, 124);
        if (flags != 0) {
            throw new UnsupportedOperationException("flags " + flags);
        }
        int groups = (int) field(block, GROUP_COUNT);
        MemorySegment all = Arena.ofAuto().allocate(16 + (long) groupBytes * groups, 8);
        all.asSlice(0, 16).copyFrom(block.asSlice(8 * CHUNKS, 16));
        for (int g = 0; g < groups; g++) {
            MemorySegment group = all.asSlice(16 + (long) groupBytes * g, groupBytes);
            MemorySegment control = view(field(block, CONTROLS) + 16L * g, 16);
            if (control.get(ValueLayout.JAVA_INT_UNALIGNED, 8) != 0) {
                group.set(ValueLayout.JAVA_INT_UNALIGNED, groupBytes - 4, groupBytes == 32 ? 4 : 16);
                continue;
            }
            MemorySegment steps = view(field(block, STEPS) + 8L * g, 8);
            long step = steps.get(ValueLayout.JAVA_LONG, 0) + 1;
            steps.set(ValueLayout.JAVA_LONG, 0, step);
            int settingBytes = groupBytes == 32 ? 32 : 20;
            scalars.set(view(field(block, SETTINGS) + (long) settingBytes * g, settingBytes),
                    control.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0)
                            * schedule(view(field(block, SCHEDULES) + 40L * g, 40)).factor(step),
                    step, group);
        }
        return all;
    }

    private static LrSchedule schedule(MemorySegment entry) {
        double decay = entry.get(ValueLayout.JAVA_DOUBLE, 24);
        LrSchedule schedule = switch (entry.get(ValueLayout.JAVA_INT, 32)) {
            case 0 -> LrSchedule.constant();
            case 1 -> LrSchedule.linear(field(entry, 1), decay);
            case 2 -> LrSchedule.cosine(field(entry, 1), decay);
            default -> LrSchedule.step(field(entry, 1), decay);
        };
        return field(entry, 0) == 0
                ? schedule
                : schedule.withWarmup(field(entry, 0), entry.get(ValueLayout.JAVA_DOUBLE, 16));
    }

    private static void sgdGroup(MemorySegment setting, double lr, long step, MemorySegment group) {
        group.copyFrom(setting);
        set(group, 0, -(float) lr);
        int flags = setting.get(ValueLayout.JAVA_INT_UNALIGNED, 16) & 7;
        group.set(ValueLayout.JAVA_INT_UNALIGNED, 16, step == 1 ? flags | 8 : flags);
    }

    private static void adamGroup(MemorySegment setting, double lr, long step, MemorySegment group) {
        double weightDecay = setting.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0);
        float w1 = element(setting, 2);
        float w2 = element(setting, 3);
        int flags = setting.get(ValueLayout.JAVA_INT_UNALIGNED, 24);
        boolean onnx = (flags & 64) != 0;
        boolean epsilonHat = (flags & 16) != 0;
        long corrected = onnx ? step - 1 : step;
        double bc1 = corrected == 0 ? 1 : 1 - StepMath.power(1 - (double) w1, corrected);
        double root = Math.sqrt(corrected == 0 ? 1 : 1 - StepMath.power(1 - (double) w2, corrected));
        double stepSize = epsilonHat ? lr * root / bc1 : lr / bc1;
        double left = (flags & 8) == 0 ? 1 : 1 - (onnx ? weightDecay : lr * weightDecay);
        set(group, 0, w1);
        set(group, 1, w2);
        set(group, 2, -(float) ((flags & 32) != 0 && (flags & 8) != 0 ? stepSize * left : stepSize));
        set(group, 3, epsilonHat ? 1 : (float) (1 / root));
        set(group, 4, element(setting, 4));
        set(group, 5, (float) left);
        set(group, 6, element(setting, 5));
        group.set(ValueLayout.JAVA_INT_UNALIGNED, 28, flags & 3);
    }

    private static float element(MemorySegment values, int index) {
        return values.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * index);
    }

    private static void set(MemorySegment values, int index, float value) {
        values.set(ValueLayout.JAVA_INT_UNALIGNED, 4L * index,
                Float.isNaN(value) ? NAN : Float.floatToRawIntBits(value));
    }
}
