package dev.isobit.contract;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Kinds of rows of logits, each here for what it has broken somewhere. */
public enum LogitsKind {
    /** What training sees. */
    NORMAL {
        @Override
        void fill(float[] z, SplittableRandom random) {
            for (int k = 0; k < z.length; k++) {
                z[k] = 2 * gaussian(random);
            }
        }
    },
    /** Away from zero on either side: the maximum may be far smaller than what is subtracted from it, or far larger. */
    SHIFTED {
        @Override
        void fill(float[] z, SplittableRandom random) {
            float shift = (float) (40 * random.nextDouble() - 20);
            for (int k = 0; k < z.length; k++) {
                z[k] = 3 * gaussian(random) + shift;
            }
        }
    },
    /** Exponentials of every size, also below the normal range and 0. */
    WIDE {
        @Override
        void fill(float[] z, SplittableRandom random) {
            for (int k = 0; k < z.length; k++) {
                z[k] = (float) (180 * random.nextDouble() - 90);
            }
        }
    },
    /** The other classes vanish beside one: log1p, not log. */
    CONFIDENT {
        @Override
        void fill(float[] z, SplittableRandom random) {
            NORMAL.fill(z, random);
            z[random.nextInt(z.length)] += (float) (10 + 105 * random.nextDouble());
        }
    },
    /** Classes ruled out by -inf, one at least left. */
    MASKED {
        @Override
        void fill(float[] z, SplittableRandom random) {
            NORMAL.fill(z, random);
            int kept = random.nextInt(z.length);
            for (int k = 0; k < z.length; k++) {
                if (k != kept && random.nextInt(5) < 3) {
                    z[k] = Float.NEGATIVE_INFINITY;
                }
            }
        }
    },
    /** Many elements at the maximum, on both sides of segment and vector boundaries. */
    TIES {
        @Override
        void fill(float[] z, SplittableRandom random) {
            for (int k = 0; k < z.length; k++) {
                z[k] = -0.25f * random.nextInt(4);
            }
        }
    },
    /** All at the maximum; +0 and -0 are equal. */
    EQUAL {
        @Override
        void fill(float[] z, SplittableRandom random) {
            float value = random.nextInt(3) * -7.5f;
            for (int k = 0; k < z.length; k++) {
                z[k] = value == 0 && random.nextBoolean() ? -0f : value;
            }
        }
    },
    /** z - max rounds: its error has to be carried. */
    HUGE_OFFSET {
        @Override
        void fill(float[] z, SplittableRandom random) {
            float offset = new float[] {1e4f, -1e5f, 1e6f, -3e7f, 1e30f}[random.nextInt(5)];
            for (int k = 0; k < z.length; k++) {
                z[k] = offset + 8 * gaussian(random);
            }
        }
    },
    /** Any finite float: differences overflow. */
    ANY_FINITE {
        @Override
        void fill(float[] z, SplittableRandom random) {
            for (int k = 0; k < z.length; k++) {
                float value = Float.intBitsToFloat(random.nextInt());
                z[k] = Float.isFinite(value) ? value : Float.MAX_VALUE;
            }
        }
    },
    /** Below the normal range, where hardware may flush. */
    SUBNORMAL {
        @Override
        void fill(float[] z, SplittableRandom random) {
            for (int k = 0; k < z.length; k++) {
                z[k] = Float.intBitsToFloat(random.nextInt() & 0x807fffff);
            }
        }
    },
    /** Exponentials around the smallest floats. */
    NEAR_UNDERFLOW {
        @Override
        void fill(float[] z, SplittableRandom random) {
            for (int k = 0; k < z.length; k++) {
                z[k] = (float) (-86 - 19 * random.nextDouble());
            }
            z[random.nextInt(z.length)] = 0;
        }
    },
    /** Segments whose maxima lie far apart: the joining in float64. */
    SEGMENT_LEVELS {
        @Override
        void fill(float[] z, SplittableRandom random) {
            NORMAL.fill(z, random);
            float[] levels = {0, -1e-3f, 0.5f, -40, -150, -199.5f, -300};
            for (int from = 0; from < z.length; from += SEGMENT) {
                float level = levels[random.nextInt(levels.length)];
                for (int k = from; k < Math.min(from + SEGMENT, z.length); k++) {
                    z[k] += level;
                }
            }
        }
    },
    /** Whole segments of -inf, never all of them. */
    SEGMENT_MASKED {
        @Override
        void fill(float[] z, SplittableRandom random) {
            NORMAL.fill(z, random);
            int kept = random.nextInt(z.length) / SEGMENT;
            for (int from = 0; from < z.length; from += SEGMENT) {
                if (from / SEGMENT != kept && random.nextInt(3) > 0) {
                    Arrays.fill(z, from, Math.min(from + SEGMENT, z.length), Float.NEGATIVE_INFINITY);
                }
            }
        }
    },
    /** A NaN somewhere, of any sign and payload. */
    NAN {
        @Override
        void fill(float[] z, SplittableRandom random) {
            NORMAL.fill(z, random);
            place(z, nan(random), random);
        }
    },
    /** A NaN in a segment that has nothing else but -inf. */
    NAN_AMONG_MINUS_INFINITY {
        @Override
        void fill(float[] z, SplittableRandom random) {
            NORMAL.fill(z, random);
            int at = random.nextInt(z.length);
            int from = at / SEGMENT * SEGMENT;
            Arrays.fill(z, from, Math.min(from + SEGMENT, z.length), Float.NEGATIVE_INFINITY);
            z[at] = nan(random);
        }
    },
    /** A +inf somewhere, sometimes with a NaN. */
    PLUS_INFINITY {
        @Override
        void fill(float[] z, SplittableRandom random) {
            NORMAL.fill(z, random);
            if (random.nextBoolean()) {
                place(z, nan(random), random);
            }
            place(z, Float.POSITIVE_INFINITY, random);
        }
    },
    /** Nothing but -inf. */
    ALL_MINUS_INFINITY {
        @Override
        void fill(float[] z, SplittableRandom random) {
            Arrays.fill(z, Float.NEGATIVE_INFINITY);
        }
    };

    private static final int SEGMENT = 8192;

    /**
     * Fills one row.
     *
     * @param z the row, not empty
     * @param random where its numbers come from
     */
    abstract void fill(float[] z, SplittableRandom random);

    /** About normal, by operations that every JVM rounds alike. */
    static float gaussian(SplittableRandom random) {
        double sum = -2;
        for (int i = 0; i < 4; i++) {
            sum += random.nextDouble();
        }
        return (float) (sum * 1.732);
    }

    static float nan(SplittableRandom random) {
        return Float.intBitsToFloat(new int[] {0x7fc00000, 0xffc00000, 0x7f800001, 0xff923456, 0x7fffffff}[random
                .nextInt(5)]);
    }

    /** At the ends and in the middle, for tails are loops of their own. */
    private static void place(float[] z, float value, SplittableRandom random) {
        z[switch (random.nextInt(3)) {
            case 0 -> 0;
            case 1 -> z.length - 1;
            default -> random.nextInt(z.length);
        }] = value;
    }
}
