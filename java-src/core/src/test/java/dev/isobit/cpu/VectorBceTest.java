package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Binary cross-entropy and focal loss by vectors have the bits of the scalar code, for logits from all over float32. */
class VectorBceTest {
    private static final int COUNT = SegmentWork.LANES;
    /** Between the bits of logits; prime. */
    private static final int STEP = 2311;
    private static final float[] SPECIAL = {0, -0f, 1, 0.5f, -1, 3, Float.POSITIVE_INFINITY, Float.NaN};

    private final CpuKernels vectors = new VectorKernels();
    private final CpuKernels scalars = new ScalarKernels();
    private final Random random = new Random(17);

    private static BceBlock block(int wanted) {
        BceBlock block = new BceBlock();
        block.keep = 1;
        block.focalAlpha = 0.25f;
        block.focalRest = 0.75f;
        block.focalGamma = 2;
        block.focalHalves = 4;
        block.wantsLoss = (wanted & 1) != 0;
        block.wantsGradient = (wanted & 2) != 0;
        block.wantsSigmoid = (wanted & 4) != 0;
        return block;
    }

    private float operand(float often) {
        return random.nextInt(64) == 0 ? SPECIAL[random.nextInt(SPECIAL.length)] : often;
    }

    /** Fills two blocks alike. */
    private void fill(BceBlock one, BceBlock other, int bits, int step) {
        for (int i = 0; i < COUNT; i++) {
            one.logits.array[i] = Float.intBitsToFloat(bits + i * step);
            one.targets.array[i] = operand(random.nextInt(3) == 0 ? random.nextFloat() : random.nextInt(2));
            one.posWeight.array[i] = one.hasPosWeight ? operand(1 + random.nextFloat()) : 1;
            one.weights.array[i] = one.hasWeights ? operand(random.nextFloat()) : 1;
            one.upstream.array[i] = operand(0.001f);
        }
        System.arraycopy(one.logits.array, 0, other.logits.array, 0, COUNT);
        System.arraycopy(one.targets.array, 0, other.targets.array, 0, COUNT);
        System.arraycopy(one.posWeight.array, 0, other.posWeight.array, 0, COUNT);
        System.arraycopy(one.weights.array, 0, other.weights.array, 0, COUNT);
        System.arraycopy(one.upstream.array, 0, other.upstream.array, 0, COUNT);
    }

    private static void check(BceBlock scalar, BceBlock vector, String what) {
        for (int i = 0; i < COUNT; i++) {
            String where = "%s, x %a, t %a".formatted(what, scalar.logits.array[i], scalar.targets.array[i]);
            if (scalar.wantsLoss) {
                assertEquals(scalar.loss[i], vector.loss[i], where);
                assertEquals(scalar.lanes[i], vector.lanes[i], where);
            }
            assertEquals(scalar.gradLogits.array[i], vector.gradLogits.array[i], where);
            assertEquals(scalar.sigmoid.array[i], vector.sigmoid.array[i], where);
        }
    }

    private void compare(int wanted, int options, int bits, int step) {
        BceBlock scalar = block(wanted);
        BceBlock vector = block(wanted);
        for (BceBlock block : new BceBlock[] {scalar, vector}) {
            block.hasPosWeight = (options & 1) != 0;
            block.hasWeights = (options & 2) != 0;
            block.keep = (options & 4) != 0 ? 0.9f : 1;
            block.half = (options & 4) != 0 ? 0.05f : 0;
            block.addsLosses = (options & 16) != 0;
            block.lanes = new float[COUNT];
            Arrays.fill(block.lanes, 0.7f);
        }
        fill(scalar, vector, bits, step);
        boolean focal = (options & 8) != 0;
        String what = "wanted %d, options %d".formatted(wanted, options);
        (focal ? scalars.focal(scalar.wantsLoss, scalar.wantsGradient, scalar.wantsSigmoid) : scalars.bce(scalar))
                .run(scalar, 0, COUNT);
        (focal ? vectors.focal(vector.wantsLoss, vector.wantsGradient, vector.wantsSigmoid) : vectors.bce(vector))
                .run(vector, 0, COUNT);
        check(scalar, vector, what);
    }

    @Test
    void everyKindOfLogit() {
        for (int round = 0; round < (int) ((1L << 32) / STEP / COUNT); round++) {
            compare(7, round % 8 | (round & 8) << 1, round * STEP * COUNT, STEP);
        }
    }

    @Test
    void everyResultAlone() {
        for (int wanted = 1; wanted < 8; wanted++) {
            for (int options = 0; options < 24; options++) {
                compare(wanted, options, random.nextInt(), 4_000_037);
            }
        }
    }

    /** Where e^x becomes 0, where it leaves the normal range, and where log1p(e) changes its way: e = sqrt(2) - 1. */
    @Test
    void nearBoundaries() {
        for (float at : new float[] {0, 104, 103.97f, 87.34f, 0.8814f, 16.6f}) {
            for (int sign = 0; sign < 2; sign++) {
                int bits = Float.floatToRawIntBits(sign == 0 ? at : -at);
                compare(7, 0, bits - COUNT / 2, 1);
                compare(7, 0, bits - 32 * COUNT, 64);
            }
        }
    }
}
