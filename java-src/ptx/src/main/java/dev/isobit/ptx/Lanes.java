package dev.isobit.ptx;

import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.function.IntBinaryOperator;
import java.util.function.IntUnaryOperator;
import java.util.function.LongBinaryOperator;
import java.util.function.LongUnaryOperator;

/**
 * An operation on 32 lanes at once. {@code d}, {@code a}, {@code b}, {@code c} are offsets into the register file that
 * the operation uses for that operand: {@code w} for up to 32 bits, {@code q} for 64. All lanes are computed, whatever
 * the mask; so an operation must be total.
 */
@FunctionalInterface
interface Lanes {
    int COUNT = 32;

    void run(int[] w, long[] q, int d, int a, int b, int c);

    /** f32 functions. */
    @FunctionalInterface
    interface Float1 {
        float apply(float a);
    }

    @FunctionalInterface
    interface Float2 {
        float apply(float a, float b);
    }

    @FunctionalInterface
    interface Float3 {
        float apply(float a, float b, float c);
    }

    @FunctionalInterface
    interface Double3 {
        double apply(double a, double b, double c);
    }

    @FunctionalInterface
    interface Int3 {
        int apply(int a, int b, int c);
    }

    @FunctionalInterface
    interface Long3 {
        long apply(long a, long b, long c);
    }

    static Lanes word(IntUnaryOperator f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = f.applyAsInt(w[a + i]);
            }
        };
    }

    static Lanes word(IntBinaryOperator f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = f.applyAsInt(w[a + i], w[b + i]);
            }
        };
    }

    static Lanes word(Int3 f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = f.apply(w[a + i], w[b + i], w[c + i]);
            }
        };
    }

    static Lanes wide(LongUnaryOperator f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = f.applyAsLong(q[a + i]);
            }
        };
    }

    static Lanes wide(LongBinaryOperator f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = f.applyAsLong(q[a + i], q[b + i]);
            }
        };
    }

    static Lanes wide(Long3 f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = f.apply(q[a + i], q[b + i], q[c + i]);
            }
        };
    }

    static Lanes single(Float1 f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = Floats.bits(f.apply(Float.intBitsToFloat(w[a + i])));
            }
        };
    }

    static Lanes single(Float2 f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = Floats.bits(f.apply(Float.intBitsToFloat(w[a + i]), Float.intBitsToFloat(w[b + i])));
            }
        };
    }

    static Lanes single(Float3 f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = Floats.bits(f.apply(Float.intBitsToFloat(w[a + i]), Float.intBitsToFloat(w[b + i]),
                        Float.intBitsToFloat(w[c + i])));
            }
        };
    }

    static Lanes twice(DoubleUnaryOperator f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = Floats.bits(f.applyAsDouble(Double.longBitsToDouble(q[a + i])));
            }
        };
    }

    static Lanes twice(DoubleBinaryOperator f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = Floats.bits(f.applyAsDouble(Double.longBitsToDouble(q[a + i]),
                        Double.longBitsToDouble(q[b + i])));
            }
        };
    }

    static Lanes twice(Double3 f) {
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = Floats.bits(f.apply(Double.longBitsToDouble(q[a + i]), Double.longBitsToDouble(q[b + i]),
                        Double.longBitsToDouble(q[c + i])));
            }
        };
    }
}
