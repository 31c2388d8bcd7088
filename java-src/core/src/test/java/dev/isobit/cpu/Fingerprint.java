package dev.isobit.cpu;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LogSoftmax;
import dev.isobit.LrSchedule;
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
import dev.isobit.contract.AdamArrays;
import dev.isobit.contract.BceCase;
import dev.isobit.contract.BceCase.Spread;
import dev.isobit.contract.BceDefinition;
import dev.isobit.contract.CrossEntropyCase;
import dev.isobit.contract.CrossEntropyCase.Upstream;
import dev.isobit.contract.CrossEntropyCase.Wanted;
import dev.isobit.contract.CrossEntropyDefinition;
import dev.isobit.contract.GeneralCase;
import dev.isobit.contract.GuardDefinition;
import dev.isobit.contract.LogitsKind;
import dev.isobit.contract.NllLossDefinition;
import dev.isobit.contract.OperandBlock;
import dev.isobit.contract.Rounded;
import dev.isobit.contract.RoundingDefinition;
import dev.isobit.contract.SgdDefinition;
import dev.isobit.contract.SoftmaxDefinition;
import dev.isobit.jvm.VmOption;
import dev.isobit.math.ExactMath;
import dev.isobit.math.FloatInputs;
import dev.isobit.math.NarrowFloats;
import dev.isobit.math.NarrowInputs;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * A fixed workload and the digest of all its result bits. As a program it runs in a JVM with other options and writes
 * what it found; {@link CpuForkTest} reads that.
 */
final class Fingerprint {
    /** Where results come from: the definitions, or a backend. */
    interface Source {
        /** Loss, then gradient. */
        List<float[]> crossEntropy(CrossEntropyCase test);

        /** With options and any operands. */
        GeneralCase.Outcome generalCrossEntropy(GeneralCase test);

        /** SGD over the parameter, with the first moment for its momentum buffer. */
        void sgd(SgdOptions options, int steps, AdamArrays arrays);

        /** Loss, then gradient. */
        List<float[]> bce(BceCase test);

        /** Probabilities or log-probabilities of a row, repeated over columns, then the gradient for these logits. */
        List<float[]> softmax(float[] z, int columns, boolean logarithm);

        /** Loss, then gradient, of negative log-likelihood; -100 is ignored. */
        List<float[]> nllLoss(Reduction reduction, float[] logProbabilities, long[] targets, float[] classWeights);

        /** Adds the gradient, of a type, to the parameter as to an accumulator, so many times. */
        void accumulate(DType dtype, int times, AdamArrays arrays);

        /** Guarded steps over the parameter, its tensors of these types: param, grad, moments. */
        void mixed(StepOptions step, AdamOptions options, int steps, DType[] types, AdamArrays arrays);

        /** Guarded steps of SGD over the parameter, with the first moment for its momentum buffer. */
        void guarded(StepOptions step, SgdOptions options, int steps, AdamArrays arrays);

        /** Guarded steps of one group, from the first on. */
        void guarded(StepOptions step, AdamOptions options, int steps, List<AdamArrays> arrays);

        /** Updates the arrays, from a step on, so many times. */
        void adam(AdamOptions options, long step, int steps, List<AdamArrays> arrays);
    }

    /** Steps of a run whose errors would show. */
    private static final int TRAJECTORY = 1000;

    private Fingerprint() {}

    private static List<CrossEntropyCase> cases() {
        List<CrossEntropyCase> cases = new ArrayList<>();
        int[][] sizes = {{7, 3}, {5, 17}, {3, 129}, {4, 1000}, {2, 1025}, {1, 8192}, {9, 8209}, {1, 17_000}};
        for (int[] size : sizes) {
            for (LogitsKind kind : LogitsKind.values()) {
                if (size[1] < 5000 || kind.ordinal() % 6 == size[1] % 6) {
                    long seed = size[1] * 100L + kind.ordinal();
                    Reduction reduction = Reduction.values()[(int) (seed % 3)];
                    cases.add(new CrossEntropyCase(size[0], size[1], kind, reduction, -100, DType.I64,
                            Upstream.SCALAR, Wanted.BOTH, seed, TYPES[cases.size() % 4]));
                }
            }
        }
        return cases;
    }

    private static List<GeneralCase> generalCases() {
        List<GeneralCase> cases = new ArrayList<>();
        for (LogitsKind kind : LogitsKind.values()) {
            for (int classes : new int[] {1, 10, 33, 1030}) {
                cases.add(new GeneralCase(7L * classes + kind.ordinal(), kind, cases.size() % 3 == 0, 3, classes));
            }
            cases.add(new GeneralCase(kind.ordinal(), kind, false, 2, 5, 3, 2));
        }
        cases.add(new GeneralCase(9, LogitsKind.SEGMENT_LEVELS, false, 1, 20_001));
        return cases;
    }

    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16, DType.F32};

    private static List<BceCase> bceCases() {
        List<BceCase> cases = new ArrayList<>();
        for (int size : new int[] {1, 17, 1025, 8209}) {
            for (BceCase.Logits kind : BceCase.Logits.values()) {
                for (BceCase.Targets targets : BceCase.Targets.values()) {
                    long seed = size * 100L + cases.size();
                    var options = new BceWithLogitsOptions(Reduction.values()[cases.size() % 3], true, 0.1,
                            Double.NaN);
                    cases.add(new BceCase(new long[] {size}, kind, targets, Spread.ABSENT, Spread.SCALAR,
                            Spread.ABSENT, options,
                            Upstream.SCALAR, Wanted.BOTH, false, seed, TYPES[cases.size() % 4]));
                    cases.add(new BceCase(new long[] {size}, kind, targets, Spread.ABSENT, Spread.SCALAR,
                            Spread.ABSENT, options.withFocal((1 + cases.size() % 16) / 2.0, 0.25),
                            Upstream.SCALAR, Wanted.BOTH, false, seed + 1, TYPES[cases.size() / 2 % 4]));
                }
            }
        }
        return cases;
    }

    /** The digest of the whole workload. */
    static String of(Source source) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (CrossEntropyCase test : cases()) {
                source.crossEntropy(test).forEach(bits -> add(digest, bits));
            }
            for (GeneralCase test : generalCases()) {
                GeneralCase.Outcome outcome = source.generalCrossEntropy(test);
                add(digest, outcome.loss());
                add(digest, outcome.gradLogits());
                add(digest, outcome.lse());
                add(digest, outcome.entropy());
                add(digest, outcome.logProbabilities());
                add(digest, outcome.states());
                digest.update((Arrays.toString(outcome.argmax()) + Arrays.toString(outcome.hits()))
                        .getBytes(StandardCharsets.UTF_8));
            }
            for (BceCase test : bceCases()) {
                source.bce(test).forEach(bits -> add(digest, bits));
            }
            for (int size : new int[] {1, 17, 1000, 8209}) {
                for (LogitsKind kind : LogitsKind.values()) {
                    float[] z = new CrossEntropyCase(1, size, kind, Reduction.NONE, -100, DType.I64, Upstream.ABSENT,
                            Wanted.BOTH, kind.ordinal()).logits();
                    source.softmax(z, 1 + kind.ordinal() % 2, size % 3 == 0 ^ kind.ordinal() % 4 < 2)
                            .forEach(bits -> add(digest, bits));
                }
            }
            for (int rows : new int[] {1, 17, 1025, 9000}) {
                for (Reduction reduction : Reduction.values()) {
                    nllLoss(source, rows, reduction).forEach(bits -> add(digest, bits));
                }
            }
            AdamOptions[] options = {AdamOptions.adamW(), AdamOptions.adam().withWeightDecay(0.1),
                AdamOptions.adamW().withAmsgrad(true)};
            for (int i = 0; i < options.length; i++) {
                for (AdamArrays.Kind kind : AdamArrays.Kind.values()) {
                    SplittableRandom random = new SplittableRandom(i);
                    List<AdamArrays> arrays = new ArrayList<>();
                    for (int size : new int[] {1, 15, 16, 17, 300, 0, kind == AdamArrays.Kind.NORMAL ? 17_000 : 70}) {
                        arrays.add(AdamArrays.of(kind, size, random));
                    }
                    source.adam(options[i], 9, 1, arrays);
                    add(digest, arrays);
                }
            }
            SgdOptions sgd = SgdOptions.defaults().withLr(0.01);
            for (SgdOptions each : List.of(sgd, sgd.withWeightDecay(0.1), sgd.withMomentum(0.9).withNesterov(true),
                    sgd.withMomentum(0.5).withDampening(0.1).withMaximize(true))) {
                for (AdamArrays.Kind kind : AdamArrays.Kind.values()) {
                    AdamArrays arrays = AdamArrays.of(kind, 143, new SplittableRandom(6));
                    source.sgd(each, kind == AdamArrays.Kind.NORMAL ? TRAJECTORY : 2, arrays);
                    add(digest, List.of(arrays));
                }
            }
            for (AdamSemantics semantics : AdamSemantics.values()) {
                for (AdamOptions base : options) {
                    AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, 37, new SplittableRandom(5));
                    source.adam(base.withSemantics(semantics), 1, TRAJECTORY, List.of(arrays));
                    add(digest, List.of(arrays));
                }
            }
            StepOptions step = StepOptions.defaults();
            for (StepOptions each : List.of(step.withMaxNorm(0.01).withClipValue(1e-4), step.withZeroGrad(true),
                    step.withGradScaling(new GradScaling(0x1p120f, 2, 0.5f, 2)))) {
                for (AdamOptions base : options) {
                    List<AdamArrays> arrays = new ArrayList<>();
                    for (int size : new int[] {1, 15, 17, 300, 9000}) {
                        arrays.add(AdamArrays.of(AdamArrays.Kind.NORMAL, size, new SplittableRandom(size)));
                    }
                    source.guarded(each, base, 4, arrays);
                    add(digest, arrays);
                }
                AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, 9000, new SplittableRandom(7));
                source.guarded(each, sgd.withMomentum(0.9), 4, arrays);
                add(digest, List.of(arrays));
            }
            DType[][] mixes = {{DType.BF16, DType.BF16, DType.F32, DType.F32, DType.BF16},
                {DType.F16, DType.F32, DType.BF16, DType.BF16, DType.F32}, {DType.F32, DType.F16, DType.F32,
                    DType.BF16, DType.BF16}};
            DType[] bf16 = {DType.BF16, DType.BF16, DType.BF16, DType.BF16, DType.BF16};
            for (DType[] types : mixes) {
                for (AdamOptions base : options) {
                    AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, 5000, new SplittableRandom(10));
                    source.mixed(step.withMaxNorm(0.01), base.withRounding(new StochasticRounding(11)), 4, types,
                            arrays);
                    add(digest, List.of(arrays));
                }
            }
            for (AdamOptions base : options) {
                AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, 5000, new SplittableRandom(13));
                source.mixed(step.withMaxNorm(0.01), base, 4, bf16, arrays);
                add(digest, List.of(arrays));
            }
            for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
                for (AdamArrays.Kind kind : AdamArrays.Kind.values()) {
                    AdamArrays arrays = AdamArrays.of(kind, 1047, new SplittableRandom(12));
                    source.accumulate(dtype, 3, arrays);
                    add(digest, List.of(arrays));
                }
            }
            AdamOptions scheduled = AdamOptions.adamW().withLr(0.1)
                    .withSchedule(LrSchedule.cosine(700, 0.1).withWarmup(100, 0.2));
            for (AdamOptions each : List.of(scheduled, AdamOptions.adam().withWeightDecay(0.1)
                    .withSchedule(LrSchedule.linear(900, 0)))) {
                for (boolean guarded : new boolean[] {false, true}) {
                    AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, 37, new SplittableRandom(8));
                    if (guarded) {
                        source.guarded(step.withMaxNorm(1).withClipValue(0.1), each, TRAJECTORY, List.of(arrays));
                    } else {
                        source.adam(each, 1, TRAJECTORY, List.of(arrays));
                    }
                    add(digest, List.of(arrays));
                }
            }
            SgdOptions momentum = sgd.withMomentum(0.9).withSchedule(LrSchedule.step(150, 0.7).withWarmup(50, 0.2));
            AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, 37, new SplittableRandom(9));
            source.sgd(momentum, TRAJECTORY, arrays);
            source.guarded(step.withMaxNorm(1).withClipValue(0.1), momentum, TRAJECTORY, arrays);
            add(digest, List.of(arrays));
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private static List<float[]> nllLoss(Source source, int rows, Reduction reduction) {
        SplittableRandom random = new SplittableRandom(rows);
        float[] weights = {0.3f, 0, 1.7f, 0.1f, 2.9f};
        float[] logProbabilities = new float[rows * weights.length];
        for (int i = 0; i < logProbabilities.length; i++) {
            logProbabilities[i] = random.nextInt(40) == 0 ? Float.NEGATIVE_INFINITY : -9 * (float) random.nextDouble();
        }
        long[] targets = random.ints(rows, -1, weights.length).mapToLong(t -> t < 0 ? -100 : t).toArray();
        // A sum that is infinite would tell nothing of its order.
        for (int row = 0; rows > 1000 && row < rows; row++) {
            int at = row * weights.length + (int) Math.max(0, targets[row]);
            logProbabilities[at] = Math.max(-9, logProbabilities[at]);
        }
        return source.nllLoss(reduction, logProbabilities, targets, weights);
    }

    private static float[][] values(AdamArrays a) {
        return new float[][] {a.param(), a.grad(), a.expAvg(), a.expAvgSq(), a.maxExpAvgSq()};
    }

    private static void add(MessageDigest digest, List<AdamArrays> arrays) {
        for (AdamArrays a : arrays) {
            add(digest, a.param());
            add(digest, a.expAvg());
            add(digest, a.expAvgSq());
            add(digest, a.maxExpAvgSq());
        }
    }

    private static void add(MessageDigest digest, float[] values) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length);
        bytes.asFloatBuffer().put(values);
        digest.update(bytes);
    }

    /** As the contract says. */
    static final class OfDefinition implements Source {
        @Override
        public List<float[]> crossEntropy(CrossEntropyCase test) {
            CrossEntropyDefinition.Result result = test.expected();
            return List.of(result.loss(), result.gradLogits());
        }

        @Override
        public GeneralCase.Outcome generalCrossEntropy(GeneralCase test) {
            return test.expected();
        }

        @Override
        public void sgd(SgdOptions options, int steps, AdamArrays a) {
            for (int i = 0; i < steps; i++) {
                SgdDefinition.step(options, options.lr(), 1 + i, a.param(), a.grad(), a.expAvg());
            }
        }

        @Override
        public List<float[]> softmax(float[] z, int columns, boolean logarithm) {
            float[] y = SoftmaxDefinition.forward(z, logarithm);
            return List.of(y, SoftmaxDefinition.gradient(y, z, logarithm));
        }

        @Override
        public void guarded(StepOptions step, AdamOptions options, int steps, List<AdamArrays> arrays) {
            GuardDefinition definition = new GuardDefinition(step, 1);
            for (int i = 0; i < steps; i++) {
                definition.adam(List.of(options), new double[] {options.lr()}, new boolean[] {true},
                        List.of(arrays));
            }
        }

        @Override
        public void accumulate(DType dtype, int times, AdamArrays arrays) {
            float[] grad = Rounded.to(dtype, arrays.grad());
            for (int turn = 0; turn < times; turn++) {
                for (int i = 0; i < grad.length; i++) {
                    float sum = arrays.param()[i] + grad[i];
                    arrays.param()[i] = sum != sum ? Float.NaN : sum;
                }
            }
        }

        @Override
        public void mixed(StepOptions step, AdamOptions options, int steps, DType[] types, AdamArrays arrays) {
            GuardDefinition definition = new GuardDefinition(step, 1);
            float[][] all = values(arrays);
            for (int i = 0; i <= steps; i++) {
                if (i > 0) {
                    definition.adam(List.of(options), new double[] {options.lr()}, new boolean[] {true},
                            List.of(List.of(arrays)));
                }
                StochasticRounding rounding = options.rounding();
                for (int k = 0; rounding != null && i > 0 && types[0] == DType.BF16 && k < all[0].length; k++) {
                    all[0][k] = RoundingDefinition.stochastic(all[0][k], rounding.seed(), i, 0, k);
                }
                for (int role = 0; role < all.length; role++) {
                    System.arraycopy(Rounded.to(types[role], all[role]), 0, all[role], 0, all[role].length);
                }
            }
        }

        @Override
        public void guarded(StepOptions step, SgdOptions options, int steps, AdamArrays arrays) {
            GuardDefinition definition = new GuardDefinition(step, 1);
            for (int i = 0; i < steps; i++) {
                definition.sgd(List.of(options), new double[] {options.lr()}, new boolean[] {true},
                        List.of(List.of(arrays)));
            }
        }

        @Override
        public List<float[]> nllLoss(Reduction reduction, float[] logProbabilities, long[] targets,
                float[] classWeights) {
            return NllLossDefinition.of(reduction, logProbabilities, targets, classWeights);
        }

        @Override
        public List<float[]> bce(BceCase test) {
            BceDefinition.Result result = test.expected();
            return List.of(result.loss(), result.gradLogits());
        }

        @Override
        public void adam(AdamOptions options, long step, int steps, List<AdamArrays> arrays) {
            for (int i = 0; i < steps; i++) {
                for (AdamArrays a : arrays) {
                    a.step(options, options.lr(), step + i);
                }
            }
        }
    }

    /** On a backend, in arrays or in native memory. */
    static class OfBackend implements Source {
        private final Backend backend;
        private final boolean nativeMemory;

        OfBackend(Backend backend, boolean nativeMemory) {
            this.backend = backend;
            this.nativeMemory = nativeMemory;
        }

        private Tensor tensor(float[] values, long... shape) {
            return tensor(DType.F32, values, shape);
        }

        private Tensor tensor(DType dtype, float[] values, long... shape) {
            Tensor array = dtype == DType.F32 ? Tensor.of(values, shape) : narrow(dtype, values, shape);
            if (!nativeMemory) {
                return array;
            }
            MemorySegment segment = Arena.ofAuto().allocate(array.byteSize() + 4, 64).asSlice(4);
            Tensor tensor = Tensor.of(dtype, segment, shape);
            backend.copy(array, tensor);
            return tensor;
        }

        private static Tensor narrow(DType dtype, float[] values, long... shape) {
            var segment = MemorySegment.ofArray(new short[values.length]);
            for (int i = 0; i < values.length; i++) {
                segment.setAtIndex(ValueLayout.JAVA_SHORT, i, dtype == DType.F16
                        ? NarrowFloats.toF16(values[i])
                        : NarrowFloats.toBf16(values[i]));
            }
            return Tensor.of(dtype, segment, shape);
        }

        private float[] read(Tensor tensor) {
            float[] values = new float[(int) tensor.elementCount()];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) tensor.get(i);
            }
            return values;
        }

        @Override
        public List<float[]> crossEntropy(CrossEntropyCase test) {
            float[] logits = test.logits();
            int lossSize = test.reduction() == Reduction.NONE ? test.rows() : 1;
            try (CrossEntropy op = CrossEntropy.on(backend, test.options())) {
                Tensor loss = tensor(new float[lossSize], lossSize);
                Tensor gradLogits = tensor(test.dtype(), new float[logits.length], test.rows(), test.classes());
                op.lossAndGradient(tensor(test.dtype(), logits, test.rows(), test.classes()),
                        Tensor.of(test.targets(logits), test.rows()), tensor(test.gradLoss(), 1), loss, gradLogits);
                return List.of(read(loss), read(gradLogits));
            }
        }

        @Override
        public GeneralCase.Outcome generalCrossEntropy(GeneralCase test) {
            try (CrossEntropy op = CrossEntropy.on(backend, test.options);
                    OperandBlock block = new OperandBlock(backend)) {
                return test.run(op, block);
            }
        }

        @Override
        public void sgd(SgdOptions options, int steps, AdamArrays a) {
            int size = a.param().length;
            Tensor param = tensor(a.param(), size);
            Tensor buffer = options.momentum() != 0 ? tensor(a.expAvg(), size) : null;
            try (Sgd sgd = Sgd.on(backend, options,
                    List.of(new SgdParameter("p", param, tensor(a.grad(), size), buffer)))) {
                for (int i = 0; i < steps; i++) {
                    sgd.step();
                }
            }
            System.arraycopy(read(param), 0, a.param(), 0, size);
            if (buffer != null) {
                System.arraycopy(read(buffer), 0, a.expAvg(), 0, size);
            }
        }

        @Override
        public void guarded(StepOptions step, SgdOptions options, int steps, AdamArrays a) {
            int size = a.param().length;
            Tensor param = tensor(a.param(), size);
            Tensor buffer = tensor(a.expAvg(), size);
            try (Sgd sgd = Sgd.on(backend, List.of(new SgdGroup(options,
                    List.of(new SgdParameter("p", param, tensor(a.grad(), size), buffer)))), step,
                    backend.defaultStream())) {
                for (int i = 0; i < steps; i++) {
                    sgd.step();
                }
            }
            System.arraycopy(read(param), 0, a.param(), 0, size);
            System.arraycopy(read(buffer), 0, a.expAvg(), 0, size);
        }

        @Override
        public List<float[]> nllLoss(Reduction reduction, float[] logProbabilities, long[] targets,
                float[] classWeights) {
            int rows = targets.length;
            Tensor gradient = tensor(new float[logProbabilities.length], rows, classWeights.length);
            Tensor loss = reduction == Reduction.NONE ? tensor(new float[rows], rows) : tensor(new float[1]);
            var operands = NllLossOperands
                    .of(tensor(logProbabilities, rows, classWeights.length), Tensor.of(targets, rows))
                    .withClassWeights(tensor(classWeights, classWeights.length));
            try (NllLoss op = NllLoss.on(backend, NllLossOptions.defaults().withReduction(reduction))) {
                op.lossAndGradient(operands, loss, gradient);
            }
            return List.of(read(loss), read(gradient));
        }

        @Override
        public List<float[]> softmax(float[] z, int columns, boolean logarithm) {
            float[] all = new float[z.length * columns];
            for (int i = 0; i < all.length; i++) {
                all[i] = z[i / columns];
            }
            long[] shape = {z.length, columns};
            Tensor logits = tensor(all, shape);
            Tensor y = tensor(new float[all.length], shape);
            Tensor gradient = tensor(new float[all.length], shape);
            SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(0);
            try (Softmax softmax = Softmax.on(backend, options); LogSoftmax log = LogSoftmax.on(backend, options)) {
                if (logarithm) {
                    log.logProbabilities(logits, y);
                    log.gradient(y, logits, gradient);
                } else {
                    softmax.probabilities(logits, y);
                    softmax.gradient(y, logits, gradient);
                }
            }
            return List.of(column(read(y), columns), column(read(gradient), columns));
        }

        /** The last of them. */
        private static float[] column(float[] all, int columns) {
            float[] one = new float[all.length / columns];
            for (int i = 0; i < one.length; i++) {
                one[i] = all[i * columns + columns - 1];
            }
            return one;
        }

        @Override
        public void guarded(StepOptions step, AdamOptions options, int steps, List<AdamArrays> arrays) {
            List<AdamParameter> parameters = parameters(options, arrays);
            try (Adam adam = Adam.on(backend, List.of(new AdamGroup(options, parameters)), step,
                    backend.defaultStream())) {
                for (int i = 0; i < steps; i++) {
                    adam.step();
                }
            }
            readAll(options, parameters, arrays);
        }

        @Override
        public List<float[]> bce(BceCase test) {
            float[] x = test.logits();
            long[] lossShape = test.options().reduction() == Reduction.NONE ? test.shape() : new long[0];
            try (BceWithLogits op = BceWithLogits.on(backend, test.options())) {
                Tensor loss = tensor(new float[lossShape.length == 0 ? 1 : x.length], lossShape);
                Tensor gradLogits = tensor(test.dtype(), new float[x.length], test.shape());
                op.lossAndGradient(
                        BceWithLogitsOperands
                                .of(tensor(test.dtype(), x, test.shape()), tensor(test.targetValues(), test.shape()))
                                .withWeights(tensor(new float[] {test.weightValues()[0]}))
                                .withGradLoss(tensor(test.gradLoss())),
                        loss, gradLogits);
                return List.of(read(loss), read(gradLogits));
            }
        }

        @Override
        public void adam(AdamOptions options, long step, int steps, List<AdamArrays> arrays) {
            List<AdamParameter> parameters = parameters(options, arrays);
            try (Adam adam = Adam.on(backend, options, parameters)) {
                adam.setStepCount(step - 1);
                for (int i = 0; i < steps; i++) {
                    adam.step();
                }
            }
            readAll(options, parameters, arrays);
        }

        @Override
        public void accumulate(DType dtype, int times, AdamArrays arrays) {
            int size = arrays.param().length;
            Tensor sum = tensor(arrays.param(), size);
            SgdParameter parameter = SgdParameter.of("p", tensor(new float[size], size),
                    tensor(dtype, arrays.grad(), size)).withGradAccumulator(sum);
            try (Sgd sgd = Sgd.on(backend, List.of(new SgdGroup(SgdOptions.defaults(), List.of(parameter))),
                    StepOptions.defaults().withAccumulateGrad(true), backend.defaultStream())) {
                for (int i = 0; i < times; i++) {
                    sgd.accumulate();
                }
            }
            System.arraycopy(read(sum), 0, arrays.param(), 0, size);
        }

        @Override
        public void mixed(StepOptions step, AdamOptions options, int steps, DType[] types, AdamArrays arrays) {
            float[][] all = values(arrays);
            Tensor[] t = new Tensor[all.length];
            for (int role = 0; role < (options.amsgrad() ? 5 : 4); role++) {
                t[role] = tensor(types[role], all[role], all[role].length);
            }
            try (Adam adam = Adam.on(backend,
                    List.of(new AdamGroup(options, List.of(new AdamParameter("p", t[0], t[1], t[2], t[3], t[4])))),
                    step, backend.defaultStream())) {
                for (int i = 0; i < steps; i++) {
                    adam.step();
                }
            }
            for (int role = 0; role < all.length; role++) {
                // What the optimizer does not take, the definition rounds as well.
                float[] found = t[role] == null ? Rounded.to(types[role], all[role]) : read(t[role]);
                System.arraycopy(found, 0, all[role], 0, found.length);
            }
        }

        private List<AdamParameter> parameters(AdamOptions options, List<AdamArrays> arrays) {
            List<AdamParameter> parameters = new ArrayList<>();
            for (AdamArrays a : arrays) {
                int size = a.param().length;
                parameters.add(new AdamParameter("p", tensor(a.param(), size), tensor(a.grad(), size),
                        tensor(a.expAvg(), size), tensor(a.expAvgSq(), size),
                        options.amsgrad() ? tensor(a.maxExpAvgSq(), size) : null));
            }
            return parameters;
        }

        private void readAll(AdamOptions options, List<AdamParameter> parameters, List<AdamArrays> arrays) {
            for (int i = 0; i < arrays.size(); i++) {
                AdamArrays a = arrays.get(i);
                System.arraycopy(read(parameters.get(i).param()), 0, a.param(), 0, a.param().length);
                System.arraycopy(read(parameters.get(i).expAvg()), 0, a.expAvg(), 0, a.param().length);
                System.arraycopy(read(parameters.get(i).expAvgSq()), 0, a.expAvgSq(), 0, a.param().length);
                if (options.amsgrad()) {
                    System.arraycopy(read(parameters.get(i).maxExpAvgSq()), 0, a.maxExpAvgSq(), 0, a.param().length);
                }
            }
        }
    }

    /** Floats that were written to an operand of 16 bits and read again. */
    private static float[] roundedTo(DType dtype) {
        float[] values = NarrowInputs.of(dtype == DType.F16);
        FloatOperand operand = new FloatOperand();
        operand.set(Tensor.of(dtype, MemorySegment.ofArray(new short[values.length]), values.length),
                CpuPath.chosen().kernels());
        operand.copyFrom(values, 0, values.length);
        operand.copyTo(values, 0, 0, values.length);
        for (int i = 0; i < values.length; i++) {
            values[i] = values[i] == values[i] ? values[i] : Float.NaN;
        }
        return values;
    }

    /** The digest of the functions of one float. */
    static String ofMath() {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            float[] inputs = FloatInputs.of(20);
            float[] results = new float[inputs.length];
            for (int f = 0; f < 7; f++) {
                for (int i = 0; i < inputs.length; i++) {
                    float y = switch (f) {
                        case 0 -> ExactMath.exp(inputs[i]);
                        case 1 -> ExactMath.log(inputs[i]);
                        case 2 -> ExactMath.log1p(inputs[i]);
                        case 3 -> NarrowFloats.fromBf16(NarrowFloats.toBf16(inputs[i]));
                        case 4 -> NarrowFloats.fromF16(NarrowFloats.toF16(inputs[i]));
                        case 5 -> ExactMath.softcap(inputs[i], 30, 1f / 15,
                                ExactMath.softcapDecay(inputs[i], 1f / 15));
                        default -> ExactMath.softcapSlope(ExactMath.softcapDecay(inputs[i], 1f / 15));
                    };
                    results[i] = y == y ? y : Float.NaN;
                }
                add(digest, results);
            }
            for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
                add(digest, roundedTo(dtype));
            }
            return HexFormat.of().formatHex(digest.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Writes key=value lines.
     *
     * @param args a letter for each run of the workload, a for arrays and n for native memory; the file to write
     */
    public static void main(String[] args) throws IOException {
        List<String> lines = new ArrayList<>();
        try (Backend backend = Backend.open("cpu")) {
            lines.add("description=" + backend.description());
            for (String option : new String[] {"UseAVX", "MaxVectorSize", "UseFMA"}) {
                lines.add(option + "=" + VmOption.get(option));
            }
            lines.add("math=" + ofMath());
            Set<String> digests = new LinkedHashSet<>();
            for (char memory : args[0].toCharArray()) {
                digests.add(of(new OfBackend(backend, memory == 'n')));
            }
            lines.add("digests=" + digests);
        }
        Files.write(Path.of(args[1]), lines);
    }
}
