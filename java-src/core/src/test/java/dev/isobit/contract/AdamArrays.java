package dev.isobit.contract;

import dev.isobit.AdamOptions;
import java.util.SplittableRandom;

/**
 * One parameter, its gradient and moments.
 *
 * @param param parameter
 * @param grad gradient
 * @param expAvg first moment
 * @param expAvgSq second moment
 * @param maxExpAvgSq largest second moment
 */
public record AdamArrays(float[] param, float[] grad, float[] expAvg, float[] expAvgSq,
        float[] maxExpAvgSq) {
    /** Kinds of elements. */
    public enum Kind {
        /** What training sees. */
        NORMAL,
        /** The first step of a run: moments 0. */
        FIRST,
        /** Gradients, moments or all of them 0 of either sign. */
        ZEROS,
        /** Around the smallest floats. */
        SUBNORMAL,
        /** Any finite floats, negative expAvgSq too. */
        ANY_FINITE,
        /** NaN of any payload and infinities among normal elements. */
        NOT_FINITE
    }

    /**
     * Draws elements.
     *
     * @param kind their kind
     * @param size how many
     * @param random where they come from
     * @return five arrays
     */
    public static AdamArrays of(Kind kind, int size, SplittableRandom random) {
        float[][] all = new float[5][size];
        for (int i = 0; i < size; i++) {
            for (int role = 0; role < 5; role++) {
                all[role][i] = element(kind, role, random);
            }
        }
        return new AdamArrays(all[0], all[1], all[2], all[3], all[4]);
    }

    private static float element(Kind kind, int role, SplittableRandom random) {
        float normal = LogitsKind.gaussian(random);
        float usual = switch (role) {
            case 0 -> normal;
            case 1, 2 -> 0.01f * normal;
            default -> 1e-4f * normal * normal;
        };
        return switch (kind) {
            case NORMAL -> usual;
            case FIRST -> role >= 2 ? 0 : usual;
            case ZEROS -> random.nextInt(3) == 0 ? usual : random.nextBoolean() ? 0 : -0f;
            case SUBNORMAL -> Float.intBitsToFloat(random.nextInt() & 0x80ffffff);
            case ANY_FINITE -> {
                float any = Float.intBitsToFloat(random.nextInt());
                yield Float.isFinite(any) ? any : -0f;
            }
            case NOT_FINITE -> switch (random.nextInt(18)) {
                case 0 -> Float.NEGATIVE_INFINITY;
                case 1 -> Float.POSITIVE_INFINITY;
                case 2 -> LogitsKind.nan(random);
                default -> usual;
            };
        };
    }

    /**
     * Does a step by {@link AdamDefinition}.
     *
     * @param options options
     * @param lr learning rate
     * @param step from 1
     */
    public void step(AdamOptions options, double lr, long step) {
        AdamDefinition.step(options, lr, step, param, grad, expAvg, expAvgSq, maxExpAvgSq);
    }
}
