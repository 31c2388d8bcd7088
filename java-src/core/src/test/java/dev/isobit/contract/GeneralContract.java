package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.contract.CrossEntropyCase.Upstream;
import dev.isobit.contract.CrossEntropyCase.Wanted;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Cross-entropy with options on a float32 backend: the bits of {@link GeneralDefinition}, nothing written beside the
 * outputs, within the promised distance from float64.
 */
public abstract class GeneralContract extends BackendContract {
    /** Kept from case to case: state left over from one call must not reach the next. */
    private final Map<CrossEntropyOptions, CrossEntropy> ops = new HashMap<>();

    /** For subclasses. */
    protected GeneralContract() {}

    /**
     * How many variations a size is tried with.
     *
     * @return from 1, few, to 10, many
     */
    protected int variations() {
        return 10;
    }

    @AfterAll
    void closeOps() {
        ops.values().forEach(CrossEntropy::close);
    }

    private CrossEntropy op(CrossEntropyOptions options) {
        return ops.computeIfAbsent(options, o -> CrossEntropy.on(backend(), o));
    }

    private long check(GeneralCase test) {
        return test.check(op(test.options), block());
    }

    /** Both sides of every vector, lane and segment boundary, and every kind of row. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 129, 1000, 1023, 1024, 1025, 2049,
        8191, 8192, 8193, 16385, 24577})
    void everySizeAndKind(int classes) {
        long compared = 0;
        LogitsKind[] kinds = LogitsKind.values();
        int batch = Math.clamp(40_000 / classes, 1, 7);
        for (int i = 0; i < variations() * (classes > 1000 ? 4 : 12); i++) {
            long seed = 1_000_003L * classes + i;
            compared += check(new GeneralCase(seed, kinds[i % kinds.length], i % 3 == 0, batch, classes));
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** [N, C, d1, .., dk], padded or not. */
    @ParameterizedTest
    @EnumSource(LogitsKind.class)
    void everyLayout(LogitsKind kind) {
        long[][] layouts = {{1, 3, 1}, {2, 5, 3}, {3, 1, 4}, {1, 21, 7, 5}, {4, 2, 2, 3, 2}, {2, 1025, 3}, {1, 8200, 2},
            {2, 40, 33}, {0, 3, 2}, {2, 3, 0}, {1, 4, 300}};
        long compared = 0;
        for (int i = 0; i < layouts.length; i++) {
            long[] layout = layouts[i];
            long[] dims = Arrays.copyOfRange(layout, 2, layout.length);
            for (int v = 0; v < variations(); v++) {
                compared += check(new GeneralCase(kind.ordinal() * 1000L + 31 * i + v, kind, v % 3 == 0,
                        (int) layout[0], (int) layout[1], dims));
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Row losses and weights are reduced by lanes and segments over the batch. */
    @ParameterizedTest
    @ValueSource(ints = {1, 17, 1023, 1025, 8192, 8193, 20_011})
    void everyNumberOfRows(int rows) {
        assumeTrue(rows < 10_000 || variations() > 1, "larger than this backend's largest case");
        long compared = 0;
        for (int i = 0; i < variations(); i++) {
            compared += check(new GeneralCase(77L * rows + i, LogitsKind.NORMAL, false, rows, 2 + i % 3));
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Promise 2: at most 8 ULP with any option, 64 with softcap, each at the largest addend. */
    @ParameterizedTest
    @EnumSource(LogitsKind.class)
    void distanceFromFloat64(LogitsKind kind) {
        // Beyond the range of float on the way: infinite where float64 is not.
        assumeTrue(kind != LogitsKind.HUGE_OFFSET && kind != LogitsKind.ANY_FINITE, "distances overflow");
        long compared = 0;
        try (Backend reference = Backend.open("reference")) {
            for (int i = 0; i < 60 * variations(); i++) {
                int classes = new int[] {1, 2, 10, 1000, 1025, 8193}[i % 6];
                GeneralCase test = new GeneralCase(900L * kind.ordinal() + i, kind, false, 3, classes);
                if (test.options.reduction() != Reduction.NONE) {
                    continue;
                }
                var found = test.run(op(test.options), block());
                try (CrossEntropy exact = CrossEntropy.on(reference, test.options)) {
                    compared += new GeneralDistance(test, found, test.exact(exact)).judge();
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Operands that change nothing give the bits of the call without them, which goes another way. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 10, 100, 1025, 20_000})
    void neutralOperandsChangeNoBit(int classes) {
        int rows = 5;
        for (LogitsKind kind : LogitsKind.values()) {
            for (Reduction reduction : Reduction.values()) {
                var plain = new CrossEntropyCase(rows, classes, kind, reduction, -100, DType.I64, Upstream.PER_ROW,
                        Wanted.BOTH, classes);
                var expected = plain.run(op(plain.options()), block());
                float[] logits = plain.logits();
                float[] gradLoss = plain.gradLoss();
                block().begin(8L * logits.length + 4L * classes + 256, 8);
                Tensor x = block().floats(logits, 3, rows, classes);
                float[] ones = new float[Math.max(rows, classes)];
                Arrays.fill(ones, 1);
                var operands = CrossEntropyOperands.of(x, block().indices(DType.I64, plain.targets(logits), 1))
                        .withClassWeights(block().floats(Arrays.copyOf(ones, classes), 1, classes))
                        .withWeights(block().floats(Arrays.copyOf(ones, rows), 2, rows)).withGradLoss(
                                gradLoss.length == 1
                                        ? block().floats(gradLoss, 0)
                                        : block().floats(gradLoss, 0, rows));
                Tensor loss = reduction == Reduction.NONE
                        ? block().room(DType.F32, 1, rows)
                        : block().room(DType.F32, 1);
                Tensor gradLogits = block().room(DType.F32, 2, rows, classes);
                block().upload();
                op(plain.options()).lossAndGradient(operands, loss, gradLogits);
                block().download();
                Bits.assertSame(plain + " loss", expected.loss(), block().read(loss));
                Bits.assertSame(plain + " gradient", expected.gradLogits(), block().read(gradLogits));
            }
        }
    }
}
