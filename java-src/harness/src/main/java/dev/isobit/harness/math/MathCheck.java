package dev.isobit.harness.math;

import dev.isobit.harness.Ulp;
import dev.isobit.math.ExactMath;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

/**
 * Measures {@link ExactMath} against the JDK's float64 functions, whose own error of one float64 ULP is 2^-29 of what is
 * measured. Used by one thread; works with several.
 */
final class MathCheck {
    /** All floats. */
    static final long ALL = 1L << Integer.SIZE;

    private static final long BLOCK = 1 << 16;

    private MathCheck() {}

    /** The functions checked. */
    enum Function {
        /** e^x. */
        EXP {
            @Override
            float actual(float x) {
                return ExactMath.exp(x);
            }

            @Override
            double exact(float x) {
                return Math.exp(x);
            }
        },
        /** ln x. */
        LOG {
            @Override
            float actual(float x) {
                return ExactMath.log(x);
            }

            @Override
            double exact(float x) {
                return Math.log(x);
            }
        },
        /** ln(1 + x). */
        LOG1P {
            @Override
            float actual(float x) {
                return ExactMath.log1p(x);
            }

            @Override
            double exact(float x) {
                return Math.log1p(x);
            }
        };

        abstract float actual(float x);

        abstract double exact(float x);
    }

    /**
     * What was measured.
     *
     * @param function which function
     * @param inputs how many floats
     * @param maxUlp the largest error
     * @param worstBits bits of the input where it was found
     * @param rounded how many results are the float nearest to the exact value
     */
    record Finding(Function function, long inputs, double maxUlp, int worstBits, long rounded) {
        /** At most 1 ULP, and something was measured. */
        boolean isKept() {
            return inputs > 0 && maxUlp <= 1;
        }
    }

    /**
     * The error of one result in ULP; 0 for a NaN where there must be one, infinite where NaN or the sign of a zero is
     * wrong. Infinity counts as 2^128, the number that would follow the largest float.
     */
    static double error(Function function, float x) {
        float actual = function.actual(x);
        double exact = function.exact(x);
        if (Double.isNaN(exact) || Float.isNaN(actual)) {
            return Double.isNaN(exact) && Float.isNaN(actual) ? 0 : Double.POSITIVE_INFINITY;
        }
        if (exact == 0 || Double.isInfinite(exact)) {
            return Double.doubleToRawLongBits(actual) == Double.doubleToRawLongBits(exact)
                    ? 0
                    : Double.isInfinite(exact) && x != exact && Math.abs(actual) == Float.MAX_VALUE
                            ? 1
                            : Double.POSITIVE_INFINITY;
        }
        double value = Float.isInfinite(actual) ? Math.copySign(0x1p128, actual) : actual;
        double reference = Math.abs(exact) > 0x1p128 ? Math.copySign(0x1p128, exact) : exact;
        return Math.abs(value - reference) / Ulp.ofFloatAt(reference);
    }

    /**
     * Measures a function at every {@code stride}-th float, by bits.
     *
     * @param stride 1 for all
     * @param threads how many threads
     * @param progress told how many inputs more are done; from any thread
     */
    static Finding run(Function function, long stride, int threads, LongConsumer progress) {
        long inputs = Math.ceilDiv(ALL, stride);
        var next = new AtomicLong();
        List<Part> parts = new ArrayList<>();
        List<Thread> team = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
            var part = new Part();
            parts.add(part);
            team.add(Thread.ofPlatform().daemon().start(() -> {
                for (long from = next.getAndAdd(BLOCK); from < inputs; from = next.getAndAdd(BLOCK)) {
                    long to = Math.min(from + BLOCK, inputs);
                    part.measure(function, from, to, stride);
                    progress.accept(to - from);
                }
            }));
        }
        try {
            for (Thread thread : team) {
                thread.join();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
        Part worst = parts.getFirst();
        for (Part part : parts) {
            worst = part.max > worst.max ? part : worst;
        }
        return new Finding(function, parts.stream().mapToLong(p -> p.inputs).sum(), worst.max, worst.worstBits,
                parts.stream().mapToLong(p -> p.rounded).sum());
    }

    /** What one thread measured. */
    private static final class Part {
        private long inputs;
        private double max;
        private int worstBits;
        private long rounded;

        void measure(Function function, long from, long to, long stride) {
            for (long i = from; i < to; i++) {
                int bits = (int) (i * stride);
                double error = error(function, Float.intBitsToFloat(bits));
                inputs++;
                rounded += error <= 0.5 ? 1 : 0;
                if (!(error <= max)) {
                    max = error;
                    worstBits = bits;
                }
            }
        }
    }
}
