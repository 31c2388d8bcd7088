package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Binary cross-entropy where kernels run: the cpu backend's bits over shapes, weights that spread, alignments. */
abstract class BceWithLogitsContract {
    private static final float POISON = Float.intBitsToFloat(0x7fabcdef);

    private CudaBackend cuda;
    private Backend cpu;
    private final List<Memory> memories = new ArrayList<>();

    @BeforeEach
    void open() {
        cuda = (CudaBackend) Backend.open("cuda");
        cpu = Backend.open("cpu");
    }

    @AfterEach
    void close() {
        memories.forEach(Memory::close);
        memories.clear();
        cpu.close();
        cuda.close();
    }

    /** A device tensor at an odd address. */
    private Tensor device(float[] values, long misaligned, long... shape) {
        return device(Tensor.of(values, shape), misaligned);
    }

    private Tensor device(Tensor host, long misaligned) {
        Memory memory = cuda.allocate(misaligned + host.byteSize());
        memories.add(memory);
        Tensor tensor = Tensor.of(host.dtype(), memory, misaligned, host.shape());
        cuda.copy(host, tensor);
        return tensor;
    }

    private Tensor device(byte[] values, long misaligned, long... shape) {
        Memory memory = cuda.allocate(misaligned + values.length);
        memories.add(memory);
        Tensor tensor = Tensor.of(DType.U8, memory, misaligned, shape);
        cuda.copy(Tensor.of(values, shape), tensor);
        return tensor;
    }

    private static float[] poisoned(int count) {
        float[] values = new float[count];
        Arrays.fill(values, POISON);
        return values;
    }

    private interface Placer {
        Tensor place(Tensor host);

        default Tensor place(float[] values, long... shape) {
            return place(Tensor.of(values, shape));
        }
    }

    private interface BytePlacer {
        Tensor place(byte[] values, long... shape);
    }

    private static BceWithLogitsOperands operands(BceInputs in, Tensor logits, DType targets, Tensor sigmoid,
            Placer placer, BytePlacer bytes) {
        boolean narrow = in.hasBinaryTargets() && in.logits().length % 2 == 1;
        boolean bits = narrow && in.logits().length % 4 == 1;
        var operands = (bits
                ? BceWithLogitsOperands.ofBits(logits,
                        bytes.place(in.targetBits(), in.targetBits().length))
                : BceWithLogitsOperands.of(logits, narrow
                        ? bytes.place(in.targetBytes(), in.shape())
                        : placer.place(HostTensors.of(targets, in.targets(), in.shape()))))
                .withGradLoss(placer.place(in.gradLoss(), lossShape(in))).withSigmoid(sigmoid);
        if (in.posWeightShape() != null) {
            operands = operands.withPosWeight(placer.place(in.posWeight(), in.posWeightShape()));
        }
        if (in.maskShape() != null) {
            operands = operands.withMask(bytes.place(in.mask(), in.maskShape()));
        }
        return in.weightsShape() == null
                ? operands
                : operands.withWeights(placer.place(in.weights(), in.weightsShape()));
    }

    private static long[] lossShape(BceInputs in) {
        return in.options().reduction() == Reduction.NONE ? in.shape() : new long[0];
    }

    /** Loss alone, gradient alone, both, both in place; probabilities with each. */
    private void compare(BceInputs in, DType dtype, DType targets, long[] misaligned) {
        String what =
                dtype + Arrays.toString(in.shape()) + " targets " + targets + " " + in.options() + " "
                        + Arrays.toString(in.posWeightShape()) + " "
                        + Arrays.toString(in.weightsShape()) + " +" + Arrays.toString(misaligned);
        long[] lossShape = lossShape(in);
        int count = in.logits().length;
        int lossCount = BceInputs.count(lossShape);
        Tensor hostLogits = HostTensors.of(dtype, in.logits(), in.shape());
        Tensor[] expected = {HostTensors.room(DType.F32, lossShape), HostTensors.room(dtype, in.shape()),
            HostTensors.room(DType.F32, in.shape())};
        try (BceWithLogits op = BceWithLogits.on(cpu, in.options())) {
            op.lossAndGradient(
                    operands(in, hostLogits, targets, expected[2], host -> host, Tensor::of),
                    expected[0], expected[1]);
        }
        // Of 16 bits half as many bytes off: the same elements, and odd ones.
        Tensor logits = device(hostLogits, dtype == DType.F32 ? misaligned[0] : misaligned[0] / 2);
        int[] turn = {0};
        Placer placer = host -> {
            long bytes = misaligned[++turn[0] % misaligned.length];
            return device(host, host.dtype() == DType.F32 ? bytes : bytes / 2);
        };
        Tensor sigmoid = placer.place(poisoned(count), in.shape());
        var operands =
                operands(in, logits, targets, sigmoid, placer,
                        (values, shape) -> device(values, misaligned[0] / 4, shape));
        Tensor loss = placer.place(poisoned(lossCount), lossShape);
        Tensor gradient = placer.place(HostTensors.room(dtype, in.shape()));
        try (BceWithLogits op = BceWithLogits.on(cuda, in.options())) {
            op.loss(operands, loss);
            check(what + ": loss alone", expected[0], loss);
            check(what + ": sigmoid", expected[2], sigmoid);
            op.gradient(operands, gradient);
            check(what + ": gradient alone", expected[1], gradient);
            cuda.copy(Tensor.of(poisoned(lossCount), lossShape), loss);
            cuda.copy(HostTensors.room(dtype, in.shape()), gradient);
            op.lossAndGradient(operands, loss, gradient);
            check(what + ": loss", expected[0], loss);
            check(what + ": gradient", expected[1], gradient);
            check(what + ": logits are only read", hostLogits, logits);
            op.lossAndGradient(operands, loss, logits);
            check(what + ": loss in place", expected[0], loss);
            check(what + ": gradient in place", expected[1], logits);
        }
        memories.forEach(Memory::close);
        memories.clear();
    }

    private void check(String what, float[] expected, Tensor found) {
        check(what, Tensor.of(expected, found.shape()), found);
    }

    private void check(String what, Tensor expected, Tensor found) {
        Tensor values = HostTensors.room(found.dtype(), found.shape());
        cuda.copy(found, values);
        long at = expected.segment().mismatch(values.segment());
        if (at >= 0) {
            long element = at / found.dtype().byteSize();
            fail(what + ": element " + element + " is " + values.get(element) + ", not " + expected.get(element));
        }
    }

    /** Both sides of what a thread, a block and a segment take, at each alignment, alike or not. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 1023, 1024, 1025, 1028, 8191, 8192, 8193, 8195, 16385, 20_003})
    void theCpusBits(int count) {
        for (int variation = 0; variation < 4; variation++) {
            long aligned = 4L * variation;
            compare(BceInputs.of(31L * count + variation, count), DType.F32, DType.F32, new long[] {aligned});
            compare(BceInputs.of(37L * count + variation, count), DType.F32, DType.F32,
                    new long[] {aligned, 0, 4, 8, 12, 4});
        }
    }

    /** Logits of 16 bits at each of their eight alignments, targets likewise or F32, alike or not. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 8, 9, 15, 16, 17, 1023, 1025, 1031, 8191, 8192, 8199, 16391, 20_003})
    void theCpusBitsOf16(int count) {
        DType[] types = {DType.BF16, DType.F16};
        for (int variation = 0; variation < 4; variation++) {
            DType dtype = types[(count + variation) % 2];
            long offset = 4L * ((count / 2 + 2 * variation + 1) % 8);
            compare(BceInputs.of(41L * count + variation, count), dtype, dtype, new long[] {offset});
            compare(BceInputs.of(43L * count + variation, count), dtype, variation % 2 == 0 ? dtype : DType.F32,
                    new long[] {offset, 0, 4, 8, 12, 20, 4});
        }
        // F32 arrays whose boundaries are where those of the logits are: one access, not eight.
        compare(BceInputs.of(47L * count, count), types[count % 2], DType.F32, new long[] {0});
    }

    /** Weights along every choice of axes. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void weightsThatSpread(long seed) {
        long[][] shapes =
                {{}, {1, 1}, {5, 3}, {7, 1, 11}, {2, 3, 5, 7}, {3, 2, 3, 2, 3, 2, 3, 2}, {90, 100}, {3, 3001}};
        for (int i = 0; i < shapes.length; i++) {
            DType dtype = new DType[] {DType.F32, DType.BF16, DType.F16}[(int) ((seed + i) % 3)];
            compare(BceInputs.of(seed * 100 + i, shapes[i]), dtype, DType.F32, new long[] {4 * (seed % 4), 8});
        }
    }

    @Test
    void noElements() {
        float nan = Float.NaN;
        for (Reduction reduction : new Reduction[] {Reduction.SUM, Reduction.MEAN}) {
            for (boolean weighted : new boolean[] {false, true}) {
                Tensor x = device(new float[0], 0, 0, 3);
                Tensor loss = device(poisoned(1), 4);
                try (BceWithLogits op =
                        BceWithLogits.on(cuda, new BceWithLogitsOptions(reduction, weighted, 0, Double.NaN))) {
                    op.lossAndGradient(x, x, loss, x);
                    check("no elements", new float[] {reduction == Reduction.SUM ? 0 : nan}, loss);
                    // One value for each row of none: there is not even that one.
                    Tensor empty = device(new float[0], 0, 0, 1);
                    op.loss(BceWithLogitsOperands.of(x, x).withWeights(empty).withPosWeight(empty), loss);
                    check("no weights", new float[] {reduction == Reduction.SUM ? 0 : nan}, loss);
                }
            }
        }
    }

    /** Scratch memory grows and is used again. */
    @Test
    void oneOperationForManySizes() {
        var options = new BceWithLogitsOptions(Reduction.MEAN, true, 0, Double.NaN);
        try (BceWithLogits there = BceWithLogits.on(cuda, options);
                BceWithLogits here = BceWithLogits.on(cpu, options)) {
            for (int count : new int[] {5, 9000, 1, 17_000, 300}) {
                BceInputs in = BceInputs.of(count, count);
                float[] expected = new float[1];
                here.loss(Tensor.of(in.logits(), count), Tensor.of(in.targets(), count), Tensor.of(expected));
                Tensor loss = device(poisoned(1), 0);
                there.loss(device(in.logits(), 0, count), device(in.targets(), 0, count), loss);
                check("of " + count, expected, loss);
            }
        }
    }
}
