package dev.isobit.harness.sanitize;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LogSoftmax;
import dev.isobit.Memory;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.StepOptions;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What kernels are watched on. Each operand has memory of its own that ends where it ends, at any alignment, so that
 * the first element too far is found.
 */
final class Shapes {
    /** All that a step can do around the update. */
    private static final DType[] VALUES = {DType.F32, DType.BF16, DType.F16};
    private static final StepOptions GUARDED = StepOptions.defaults().withGradScaling(GradScaling.constant(2))
            .withMaxNorm(1).withClipValue(0.1).withZeroGrad(true);

    /** A call or several. */
    interface Work {
        void run(Backend backend, Operands operands);
    }

    /**
     * One of the shapes.
     *
     * @param name for people
     * @param work what is done
     */
    record Shape(String name, Work work) {
        boolean isGuarded() {
            return name.startsWith("guarded");
        }

        void run(Backend backend) {
            try (var operands = new Operands(backend)) {
                work.run(backend, operands);
                backend.defaultStream().synchronize();
            }
        }
    }

    /** Memory of one shape. Used by one thread. */
    static final class Operands implements AutoCloseable {
        private final Backend backend;
        private final List<Memory> memories = new ArrayList<>();

        private Operands(Backend backend) {
            this.backend = backend;
        }

        /** A copy of a host tensor, so many bytes behind the start of its memory. */
        Tensor of(Tensor host, long offset) {
            Memory memory = backend.allocate(offset + host.byteSize());
            memories.add(memory);
            Tensor tensor = Tensor.of(host.dtype(), memory, offset, host.shape());
            backend.copy(host, tensor);
            return tensor;
        }

        Tensor floats(Rng rng, long offset, long... shape) {
            return floats(DType.F32, rng, offset, shape);
        }

        /** Of 16 bits as many elements behind the start of memory as F32. */
        Tensor floats(DType dtype, Rng rng, long offset, long... shape) {
            int count = 1;
            for (long size : shape) {
                count = Math.toIntExact(count * size);
            }
            float[] values = new float[count];
            for (int i = 0; i < count; i++) {
                values[i] = rng.nextNormal();
            }
            if (dtype == DType.F32) {
                return of(Tensor.of(values, shape), offset);
            }
            short[] bits = new short[count];
            for (int i = 0; i < count; i++) {
                bits[i] = dtype == DType.BF16 ? NarrowFloats.toBf16(values[i]) : NarrowFloats.toF16(values[i]);
            }
            return of(Tensor.of(dtype, MemorySegment.ofArray(bits), shape), offset / 2);
        }

        @Override
        public void close() {
            memories.forEach(Memory::close);
        }
    }

    private Shapes() {}

    /** Both sides of every bound between kernels, of a vector, of a segment; more rows than a block has. */
    static List<Shape> all() {
        List<Shape> shapes = new ArrayList<>();
        int[][] sizes =
                {{0, 3}, {1, 1}, {129, 3}, {300, 10}, {5, 31}, {33, 32}, {3, 33}, {40, 127}, {17, 256}, {5, 257},
                    {5, 1000}, {1, 1023}, {6, 1024}, {4, 1025}, {2, 3001}, {1, 8192}, {2, 8193}, {1, 16385}, {9000, 2}};
        for (int[] size : sizes) {
            for (Reduction reduction : Reduction.values()) {
                long offset = 4L * (shapes.size() % 4);
                shapes.add(new Shape("CrossEntropy [" + size[0] + ", " + size[1] + "] " + reduction + " +" + offset,
                        (backend, operands) -> crossEntropy(backend, operands, DType.F32, size[0], size[1], reduction,
                                offset)));
            }
        }
        for (DType dtype : List.of(DType.BF16, DType.F16)) {
            for (int[] size : new int[][] {{130, 11}, {9, 65}, {5, 1001}, {3, 1027}, {2, 8195}}) {
                for (Reduction reduction : List.of(Reduction.NONE, Reduction.MEAN)) {
                    long offset = 4L * (shapes.size() % 8);
                    shapes.add(new Shape("CrossEntropy " + dtype + " [" + size[0] + ", " + size[1] + "] " + reduction
                            + " +" + offset / 2,
                            (backend, operands) -> crossEntropy(backend, operands, dtype, size[0], size[1], reduction,
                                    offset)));
                }
            }
        }
        int[][] generals = {{0, 3, 1}, {5, 2, 1}, {300, 32, 1}, {3, 33, 1}, {2, 1001, 1}, {1, 8200, 1}, {2, 5, 70}};
        for (int[] size : generals) {
            for (Reduction reduction : Reduction.values()) {
                long offset = 4L * (shapes.size() % 4);
                shapes.add(generalCrossEntropy(DType.F32, size, reduction, offset));
            }
        }
        for (DType dtype : List.of(DType.BF16, DType.F16)) {
            for (int[] size : new int[][] {{0, 3, 1}, {5, 2, 1}, {3, 35, 1}, {2, 1001, 1}, {1, 8203, 1}, {2, 5, 70}}) {
                shapes.add(generalCrossEntropy(dtype, size, Reduction.MEAN, 4L * (shapes.size() % 8)));
            }
        }
        int[][] elements = {{0, 3}, {1, 1}, {1, 5}, {2, 511}, {3, 2731}, {8192, 1}, {1, 8195}, {3, 8000}};
        for (int[] shape : elements) {
            for (Reduction reduction : Reduction.values()) {
                long offset = 4L * (shapes.size() % 4);
                shapes.add(new Shape("BceWithLogits [" + shape[0] + ", " + shape[1] + "] " + reduction + " +" + offset,
                        (backend, operands) -> bce(backend, operands, DType.F32, shape[0], shape[1], reduction,
                                offset)));
            }
        }
        for (DType dtype : List.of(DType.BF16, DType.F16)) {
            for (int[] shape : new int[][] {{1, 5}, {2, 511}, {1, 8195}}) {
                for (Reduction reduction : Reduction.values()) {
                    long offset = 4L * (shapes.size() % 8);
                    shapes.add(new Shape("BceWithLogits " + dtype + " [" + shape[0] + ", " + shape[1] + "] " + reduction
                            + " +" + offset / 2,
                            (backend, operands) -> bce(backend, operands, dtype, shape[0], shape[1], reduction,
                                    offset)));
                }
            }
        }
        int[][] softmax = {{1, 1, 1}, {33, 3, 1}, {17, 256, 1}, {5, 257, 1}, {3, 1024, 1}, {2, 1025, 1}, {1, 8193, 1},
            {2, 3, 70}, {1, 1025, 3}};
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            for (int[] shape : softmax) {
                long offset = 4L * (shapes.size() % 4);
                shapes.add(new Shape(
                        "Softmax " + dtype + " [" + shape[0] + ", " + shape[1] + ", " + shape[2] + "] +" + offset,
                        (backend, operands) -> softmax(backend, operands, dtype, shape, offset)));
            }
        }
        for (int[] shape : new int[][] {{1, 1, 1}, {300, 3, 1}, {2, 9000, 1}, {9000, 2, 1}, {2, 3, 300}}) {
            for (Reduction reduction : Reduction.values()) {
                long offset = 4L * (shapes.size() % 4);
                for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
                    shapes.add(new Shape(
                            "NllLoss " + dtype + " [" + shape[0] + ", " + shape[1] + ", " + shape[2] + "] " + reduction
                                    + " +" + offset,
                            (backend, operands) -> nllLoss(backend, operands, dtype, shape, reduction, offset)));
                }
            }
        }
        int[][] parameters = {{1}, {0, 3, 4, 5}, {31, 32, 33}, {2047, 2048, 2049}, {1, 4097, 70, 8, 9, 10, 11, 12}};
        for (int[] each : parameters) {
            for (AdamOptions options : List.of(AdamOptions.adamW(),
                    AdamOptions.adam().withWeightDecay(0.1).withMaximize(true),
                    AdamOptions.adamW().withAmsgrad(true))) {
                long offset = 4L * (shapes.size() % 4);
                for (boolean mixed : new boolean[] {false, true}) {
                    String types = mixed ? " mixed" : "";
                    shapes.add(new Shape("Adam of " + each.length + types + " +" + offset, (backend, operands) -> adam(
                            backend, operands, each, options, StepOptions.defaults(), offset, mixed)));
                    shapes.add(new Shape("guarded Adam of " + each.length + types + " +" + offset,
                            (backend, operands) -> adam(backend, operands, each, options, GUARDED, offset, mixed)));
                }
            }
            for (SgdOptions options : List.of(SgdOptions.defaults().withWeightDecay(0.1),
                    SgdOptions.defaults().withMomentum(0.9).withNesterov(true))) {
                long offset = 4L * (shapes.size() % 4);
                for (boolean mixed : new boolean[] {false, true}) {
                    String types = mixed ? " mixed" : "";
                    shapes.add(new Shape("Sgd of " + each.length + types + " +" + offset, (backend, operands) -> sgd(
                            backend, operands, each, options, StepOptions.defaults(), offset, mixed)));
                    shapes.add(new Shape("guarded Sgd of " + each.length + types + " +" + offset,
                            (backend, operands) -> sgd(backend, operands, each, options, GUARDED, offset, mixed)));
                    shapes.add(new Shape("accumulating Sgd of " + each.length + types + " +" + offset,
                            (backend, operands) -> sgd(backend, operands, each, options,
                                    GUARDED.withAccumulateGrad(true), offset, mixed)));
                }
            }
        }
        return shapes;
    }

    private static void crossEntropy(Backend backend, Operands operands, DType dtype, int rows, int classes,
            Reduction reduction,
            long offset) {
        var rng = new Rng(31L * rows + classes);
        long[] wide = new long[rows];
        int[] narrow = new int[rows];
        for (int row = 0; row < rows; row++) {
            narrow[row] = rng.nextInt(5) == 0 ? -100 : rng.nextInt(classes);
            wide[row] = narrow[row];
        }
        boolean none = reduction == Reduction.NONE;
        long[] lossShape = none ? new long[] {rows} : new long[0];
        Tensor logits = operands.floats(dtype, rng, offset, rows, classes);
        Tensor targets =
                operands.of(none ? Tensor.of(narrow, rows) : Tensor.of(wide, rows), none ? offset : 2 * offset);
        Tensor gradLoss = operands.floats(rng, offset, lossShape);
        Tensor loss = operands.floats(rng, offset, lossShape);
        Tensor gradient = operands.floats(dtype, rng, offset, rows, classes);
        try (CrossEntropy op = CrossEntropy.on(backend, new CrossEntropyOptions(reduction, -100))) {
            op.loss(logits, targets, loss);
            op.gradient(logits, targets, gradient);
            op.lossAndGradient(logits, targets, gradLoss, loss, gradient);
            op.lossAndGradient(logits, targets, gradLoss, loss, logits);
        }
    }

    private static Shape generalCrossEntropy(DType dtype, int[] size, Reduction reduction, long offset) {
        return new Shape("CrossEntropy with options " + dtype + " " + Arrays.toString(size) + " " + reduction + " +"
                + offset,
                (backend, operands) -> generalCrossEntropy(backend, operands, dtype, size, reduction, offset));
    }

    private static void generalCrossEntropy(Backend backend, Operands operands, DType dtype, int[] size,
            Reduction reduction, long offset) {
        var rng = new Rng(size[1]);
        long[] shape = {size[0], size[1], size[2]};
        long[] rowShape = {size[0], size[2]};
        short[] indices = new short[size[0] * size[2]];
        for (int i = 0; i < indices.length; i++) {
            indices[i] = (short) rng.nextInt(size[1]);
        }
        Tensor logits = operands.floats(dtype, rng, offset, shape);
        Tensor gradient = operands.floats(dtype, rng, offset, shape);
        Tensor loss = operands.floats(rng, offset, reduction == Reduction.NONE ? rowShape : new long[0]);
        var all = CrossEntropyOperands.of(logits, operands.of(Tensor.of(indices, rowShape), 2 * offset))
                .withClassWeights(operands.floats(rng, 4, size[1])).withWeights(operands.floats(rng, 8, rowShape))
                .withLse(operands.floats(rng, 0, rowShape)).withEntropy(operands.floats(rng, 4, rowShape))
                .withArgmax(operands.of(Tensor.of(new long[indices.length], rowShape), 0))
                .withHits(operands.of(Tensor.of(new long[1]), 8))
                .withLogProbabilities(operands.floats(rng, offset, shape));
        var options = CrossEntropyOptions.defaults().withReduction(reduction).withLabelSmoothing(0.1).withZLoss(1e-4)
                .withSoftcap(30);
        try (CrossEntropy op = CrossEntropy.on(backend, options);
                CrossEntropy adding = CrossEntropy.on(backend, options.withAccumulate(true))) {
            Tensor states = operands.floats(rng, 4, op.stateShape(logits));
            op.loss(all.withStates(states), loss);
            op.gradient(CrossEntropyOperands.of(logits, all.targets()).withSavedStates(states), gradient);
            adding.lossAndGradient(all, loss, gradient);
            op.lossAndGradient(CrossEntropyOperands.of(logits, operands.floats(rng, 8, shape)), loss, gradient);
            op.lossAndGradient(CrossEntropyOperands.of(logits, operands.floats(dtype, rng, 8, shape)), loss, gradient);
            var shard = CrossEntropyOperands.of(logits, all.targets()).withShard(8192, 8192 + size[1]);
            Tensor part = operands.floats(rng, 8, op.stateShape(shard));
            Tensor own = operands.floats(rng, 4, rowShape);
            op.states(shard.withStates(part).withTargetLogits(own).withEntropy(all.lse()).withHits(all.hits()));
            op.lossAndGradient(shard.withSavedTargetLogits(own).withEntropy(all.entropy())
                    .withSavedStates(operands.floats(rng, 4, part.size(0) + 1, size[0], size[2], 7))
                    .withArgmax(all.argmax()).withHits(all.hits()).withLogProbabilities(all.logProbabilities()), loss,
                    gradient);
            op.lossAndGradient(all, loss, logits);
        }
    }

    private static void bce(Backend backend, Operands operands, DType dtype, int rows, int columns, Reduction reduction,
            long offset) {
        var rng = new Rng(17L * rows + columns);
        long[] lossShape = reduction == Reduction.NONE ? new long[] {rows, columns} : new long[0];
        Tensor logits = operands.floats(dtype, rng, offset, rows, columns);
        Tensor targets = operands.floats(dtype, rng, offset, rows, columns);
        Tensor loss = operands.floats(rng, offset, lossShape);
        Tensor gradient = operands.floats(dtype, rng, offset, rows, columns);
        var all = new BceWithLogitsOperands(logits, targets, operands.floats(rng, 4, columns),
                operands.floats(rng, offset, rows, 1), operands.of(Tensor.of(new byte[columns], columns), offset / 4),
                operands.floats(rng, offset, lossShape),
                operands.floats(rng, offset, rows, columns));
        var options = BceWithLogitsOptions.defaults().withReduction(reduction).withWeightedMean(true);
        try (BceWithLogits op = BceWithLogits.on(backend, options)) {
            op.loss(logits, targets, loss);
            op.gradient(all, gradient);
            op.lossAndGradient(all.withWeights(operands.floats(rng, offset, rows, columns)), loss, gradient);
            op.lossAndGradient(logits, operands.floats(rng, offset, rows, columns), loss, logits);
        }
        var focal = new BceWithLogitsOperands(logits, targets, null, all.weights(), all.mask(), all.gradLoss(),
                all.sigmoid());
        try (BceWithLogits op = BceWithLogits.on(backend, options.withFocal(2.5, 0.25))) {
            op.loss(logits, targets, loss);
            op.gradient(focal, gradient);
            op.lossAndGradient(focal, loss, logits);
        }
    }

    private static void nllLoss(Backend backend, Operands operands, DType dtype, int[] shape, Reduction reduction,
            long offset) {
        var rng = new Rng(23L * shape[0] + shape[1]);
        int rows = shape[0] * shape[2];
        int[] targets = new int[rows];
        for (int row = 0; row < rows; row++) {
            targets[row] = rng.nextInt(5) == 0 ? -100 : rng.nextInt(shape[1]);
        }
        long[] lossShape = reduction == Reduction.NONE ? new long[] {shape[0], shape[2]} : new long[0];
        Tensor logProbabilities = operands.floats(dtype, rng, offset, shape[0], shape[1], shape[2]);
        Tensor loss = operands.floats(rng, offset, lossShape);
        var plain = NllLossOperands.of(logProbabilities,
                operands.of(Tensor.of(targets, shape[0], shape[2]), offset));
        var all = plain.withClassWeights(operands.floats(rng, 4, shape[1]))
                .withGradLoss(operands.floats(rng, offset, lossShape));
        try (NllLoss op = NllLoss.on(backend, NllLossOptions.defaults().withReduction(reduction))) {
            op.loss(plain, loss);
            op.gradient(all, operands.floats(dtype, rng, offset, shape[0], shape[1], shape[2]));
            op.lossAndGradient(all, loss, logProbabilities);
        }
    }

    private static void softmax(Backend backend, Operands operands, DType dtype, int[] shape, long offset) {
        var rng = new Rng(19L * shape[0] + shape[1]);
        Tensor logits = operands.floats(dtype, rng, offset, shape[0], shape[1], shape[2]);
        Tensor upstream = operands.floats(dtype, rng, 4, shape[0], shape[1], shape[2]);
        Tensor result = operands.floats(dtype, rng, offset, shape[0], shape[1], shape[2]);
        var options = SoftmaxOptions.defaults().withAxis(1);
        try (Softmax softmax = Softmax.on(backend, options); LogSoftmax log = LogSoftmax.on(backend, options)) {
            log.logProbabilities(logits, result);
            log.gradient(result, upstream, result);
            softmax.probabilities(logits, logits);
            softmax.gradient(logits, upstream, upstream);
        }
    }

    private static void adam(Backend backend, Operands operands, int[] sizes, AdamOptions options,
            StepOptions step, long offset, boolean mixed) {
        var rng = new Rng(sizes.length);
        List<AdamParameter> parameters = new ArrayList<>();
        for (int size : sizes) {
            DType value = mixed ? VALUES[parameters.size() % VALUES.length] : DType.F32;
            DType moment = mixed ? DType.BF16 : DType.F32;
            // Some of the mixed ones start alike, too.
            long other = mixed && sizes.length % 2 == 1 ? offset : 4;
            parameters.add(new AdamParameter("p" + parameters.size(), operands.floats(value, rng, offset, size),
                    operands.floats(moment, rng, offset, size), operands.floats(moment, rng, other, size),
                    operands.floats(DType.F32, rng, offset, size)).withMaster(
                            mixed
                                    ? master(operands, rng, value, parameters.size(), offset, size)
                                    : null));
        }
        try (Adam adam =
                Adam.on(backend, List.of(new AdamGroup(options.withRounding(new StochasticRounding(3)), parameters)),
                        step, backend.defaultStream())) {
            if (step.accumulateGrad()) {
                adam.accumulate();
                adam.accumulateAndStep();
            }
            adam.step();
            adam.step();
        }
    }

    /** Of every second parameter of 16 bits: F32, or for BF16 remainders. */
    private static @Nullable Tensor master(Operands operands, Rng rng, DType dtype, int parameter, long offset,
            int size) {
        if (dtype == DType.F32 || parameter % 2 == 0) {
            return null;
        }
        return dtype == DType.F16
                ? operands.floats(rng, offset, size)
                : operands.of(Tensor.of(new short[size], size), offset / 2);
    }

    private static void sgd(Backend backend, Operands operands, int[] sizes, SgdOptions options,
            StepOptions step, long offset, boolean mixed) {
        var rng = new Rng(sizes.length);
        List<SgdParameter> parameters = new ArrayList<>();
        for (int size : sizes) {
            DType value = mixed ? VALUES[parameters.size() % VALUES.length] : DType.F32;
            DType other = mixed ? DType.BF16 : DType.F32;
            long apart = mixed && sizes.length % 2 == 1 ? offset : 4;
            parameters.add(new SgdParameter("p" + parameters.size(), operands.floats(value, rng, offset, size),
                    operands.floats(other, rng, offset, size),
                    options.momentum() != 0 ? operands.floats(other, rng, apart, size) : null).withMaster(
                            mixed
                                    ? master(operands, rng, value, parameters.size(), offset, size)
                                    : null));
        }
        try (Sgd sgd =
                Sgd.on(backend, List.of(new SgdGroup(options.withRounding(new StochasticRounding(3)), parameters)),
                        step, backend.defaultStream())) {
            if (step.accumulateGrad()) {
                sgd.accumulate();
                sgd.accumulateAndStep();
            }
            sgd.step();
            sgd.step();
        }
    }
}
