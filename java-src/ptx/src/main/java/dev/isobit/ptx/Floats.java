package dev.isobit.ptx;

import java.math.BigDecimal;

/**
 * IEEE 754 arithmetic beyond what Java has: directed rounding, results in 16-bit formats, flushing, saturation, and the
 * NaN that PTX writes.
 *
 * <p>A double that carries an exact result <i>rounded to odd</i> (truncated, with its last bit set when anything was
 * lost) can be rounded again to any format of at most 51 bits, in any direction, with the result of a single rounding.
 */
final class Floats {
    /** The NaN that every f32 instruction writes. */
    static final int NAN32 = 0x7fffffff;
    /** The NaN that every f64 instruction writes here; PTX leaves its payload open. */
    static final long NAN64 = 0x7ff8_0000_0000_0000L;
    /** The NaN of f16 and bf16 instructions. */
    static final int NAN16 = 0x7fff;

    /** Rounding modes by their PTX names. */
    enum Rounding {
        RN, RZ, RM, RP, RNA;

        static Rounding of(String suffix) {
            return switch (suffix) {
                case "rn", "rni" -> RN;
                case "rz", "rzi" -> RZ;
                case "rm", "rmi" -> RM;
                case "rp", "rpi" -> RP;
                case "rna" -> RNA;
                default -> throw new IllegalArgumentException(suffix);
            };
        }
    }

    /** A binary format of 16 bits: precision with the hidden bit, and the exponent of its smallest normal number. */
    enum Half {
        F16(11, -14), BF16(8, -126);

        final int precision;
        final int minExponent;

        Half(int precision, int minExponent) {
            this.precision = precision;
            this.minExponent = minExponent;
        }

        float toFloat(int bits) {
            return this == BF16 ? Float.intBitsToFloat(bits << 16) : Float.float16ToFloat((short) bits);
        }

        int maxBits() {
            return this == BF16 ? 0x7f7f : 0x7bff;
        }

        int infinityBits() {
            return this == BF16 ? 0x7f80 : 0x7c00;
        }

        /** Rounds a value that is exact, or rounded to odd, to this format. */
        int round(double value, Rounding rounding) {
            if (value != value) {
                return NAN16;
            }
            int sign = Double.doubleToRawLongBits(value) < 0 ? 0x8000 : 0;
            double magnitude = Math.abs(value);
            if (magnitude == Double.POSITIVE_INFINITY) {
                return sign | infinityBits();
            }
            int exponent = Math.max(magnitude == 0 ? minExponent : Math.getExponent(magnitude), minExponent);
            int fractionBits = precision - 1;
            double scaled = Math.scalb(magnitude, fractionBits - exponent); // exact: in units of the last place
            double whole = Math.floor(scaled);
            double rest = scaled - whole;
            boolean up = switch (rounding) {
                case RN -> rest > 0.5 || rest == 0.5 && ((long) whole & 1) != 0;
                case RNA -> rest >= 0.5;
                case RZ -> false;
                case RM -> sign != 0 && rest > 0;
                case RP -> sign == 0 && rest > 0;
            };
            long units = (long) whole + (up ? 1 : 0);
            // Adding the exponent field makes a carry out of the fraction step to the next binade by itself.
            long bits = ((long) (exponent - minExponent) << fractionBits) + units;
            if (bits >= infinityBits()) {
                boolean toInfinity = rounding == Rounding.RN || rounding == Rounding.RNA
                        || rounding == (sign == 0 ? Rounding.RP : Rounding.RM);
                bits = toInfinity ? infinityBits() : maxBits();
            }
            return sign | (int) bits;
        }
    }

    private Floats() {}

    static int bits(float value) {
        return value != value ? NAN32 : Float.floatToRawIntBits(value);
    }

    static long bits(double value) {
        return value != value ? NAN64 : Double.doubleToRawLongBits(value);
    }

    /** Zero of the same sign for a subnormal. */
    static float flush(float value) {
        return Math.abs(value) < Float.MIN_NORMAL ? Math.copySign(0f, value) : value;
    }

    /** To [0, 1]; NaN gives +0. */
    static float saturate(float value) {
        return value > 0 ? Math.min(value, 1f) : 0f;
    }

    static double saturate(double value) {
        return value > 0 ? Math.min(value, 1d) : 0d;
    }

    /** IEEE minNum: a NaN loses, -0 is below +0. */
    static float min(float a, float b) {
        return a != a ? b : b != b ? a : Math.min(a, b);
    }

    static float max(float a, float b) {
        return a != a ? b : b != b ? a : Math.max(a, b);
    }

    static double min(double a, double b) {
        return a != a ? b : b != b ? a : Math.min(a, b);
    }

    static double max(double a, double b) {
        return a != a ? b : b != b ? a : Math.max(a, b);
    }

    /** A value rounded toward {@code residual}'s sign: {@code nearest} if that is exact, else its odd neighbour. */
    private static double odd(double nearest, double residual) {
        if (residual == 0 || residual != residual || Double.isInfinite(nearest)) {
            return nearest;
        }
        if ((Double.doubleToRawLongBits(nearest) & 1) != 0) {
            return nearest;
        }
        return residual > 0 ? Math.nextUp(nearest) : Math.nextDown(nearest);
    }

    /** a + b, rounded to odd. Exact enough for operands that are products or values of floats. */
    static double addOdd(double a, double b) {
        double sum = a + b;
        double bPart = sum - a;
        return odd(sum, a - (sum - bPart) + (b - bPart));
    }

    /** a / b for float operands, rounded to odd. */
    static double divideOdd(float a, float b) {
        double quotient = (double) a / b;
        if (quotient == 0 || Double.isInfinite(quotient) || quotient != quotient || Float.isInfinite(b)) {
            return quotient;
        }
        double residual = Math.fma(-quotient, b, a);
        return odd(quotient, b < 0 ? -residual : residual);
    }

    /** The square root of a float, rounded to odd. */
    static double sqrtOdd(float a) {
        double root = Math.sqrt(a);
        return Double.isInfinite(root) ? root : odd(root, Math.fma(-root, root, a));
    }

    /** Rounds a value that is exact, or rounded to odd, to f32. */
    static float round(double value, Rounding rounding) {
        float nearest = (float) value;
        if (rounding == Rounding.RN || nearest == value || value != value) {
            return nearest;
        }
        boolean tooHigh = nearest > value;
        boolean down = switch (rounding) {
            case RM -> true;
            case RP -> false;
            case RZ -> value > 0;
            default -> throw new IllegalArgumentException(rounding.toString());
        };
        return down ? tooHigh ? Math.nextDown(nearest) : nearest : tooHigh ? nearest : Math.nextUp(nearest);
    }

    static float add(float a, float b, Rounding rounding) {
        float zero = zeroSum(a, b, rounding);
        return zero == 0 ? zero : round(addOdd(a, b), rounding);
    }

    /** An exact sum of 0 is -0 when rounding down, unless both addends are +0. Anything but a zero: not that case. */
    private static float zeroSum(double a, double b, Rounding rounding) {
        if (a + b != 0) {
            return 1;
        }
        float sum = (float) (a + b);
        boolean bothPositive = Double.doubleToRawLongBits(a) == 0 && Double.doubleToRawLongBits(b) == 0;
        return rounding == Rounding.RM && !bothPositive ? -0f : sum;
    }

    static float fma(float a, float b, float c, Rounding rounding) {
        if (rounding == Rounding.RN) {
            return Math.fma(a, b, c);
        }
        double product = (double) a * b;
        float zero = zeroSum(product, c, rounding);
        return zero == 0 ? zero : round(addOdd(product, c), rounding);
    }

    /** a·b + c in a 16-bit format. */
    static int fma(Half format, int a, int b, int c, Rounding rounding) {
        double product = (double) format.toFloat(a) * format.toFloat(b);
        return format.round(addOdd(product, format.toFloat(c)), rounding);
    }

    /** The sign of (exact - rounded) decides how a nearest result moves to a directed one. */
    static double direct(double nearest, int exactMinusNearest, Rounding rounding) {
        if (exactMinusNearest == 0) {
            return nearest;
        }
        boolean negative = nearest < 0 || nearest == 0 && exactMinusNearest < 0;
        boolean down = rounding == Rounding.RM || rounding == Rounding.RZ && !negative;
        boolean up = rounding == Rounding.RP || rounding == Rounding.RZ && negative;
        if (down && exactMinusNearest < 0) {
            return Math.nextDown(nearest);
        }
        return up && exactMinusNearest > 0 ? Math.nextUp(nearest) : nearest;
    }

    /** A directed f64 result, from the nearest one and the exact one where that is finite. */
    static double direct(double nearest, java.util.function.Supplier<BigDecimal> exact, Rounding rounding) {
        if (rounding == Rounding.RN || nearest != nearest) {
            return nearest;
        }
        int sign = Double.isInfinite(nearest)
                ? nearest > 0 ? -1 : 1
                : exact.get().compareTo(new BigDecimal(nearest));
        return direct(nearest, sign, rounding);
    }

    static double add(double a, double b, Rounding rounding) {
        if (Double.isInfinite(a) || Double.isInfinite(b)) {
            return a + b;
        }
        if (a + b == 0) {
            return rounding == Rounding.RM && (a != 0 || Double.doubleToRawLongBits(a) != 0
                    || Double.doubleToRawLongBits(b) != 0) ? -0d : a + b;
        }
        return direct(a + b, () -> new BigDecimal(a).add(new BigDecimal(b)), rounding);
    }

    static double multiply(double a, double b, Rounding rounding) {
        if (Double.isInfinite(a) || Double.isInfinite(b)) {
            return a * b;
        }
        return direct(a * b, () -> new BigDecimal(a).multiply(new BigDecimal(b)), rounding);
    }

    static double fma(double a, double b, double c, Rounding rounding) {
        double nearest = Math.fma(a, b, c);
        if (rounding == Rounding.RN || Double.isInfinite(a) || Double.isInfinite(b) || Double.isInfinite(c)
                || nearest != nearest) {
            return nearest;
        }
        BigDecimal exact = new BigDecimal(a).multiply(new BigDecimal(b)).add(new BigDecimal(c));
        if (exact.signum() == 0) {
            boolean bothPositive = Double.doubleToRawLongBits(c) == 0 && Double.doubleToRawLongBits(a * b) == 0;
            return rounding == Rounding.RM && !bothPositive ? -0d : nearest;
        }
        return direct(nearest, () -> exact, rounding);
    }

    static double divide(double a, double b, Rounding rounding) {
        double nearest = a / b;
        if (rounding == Rounding.RN || Double.isInfinite(a) || Double.isInfinite(b) || b == 0 || nearest != nearest) {
            return nearest;
        }
        if (Double.isInfinite(nearest)) {
            return direct(nearest, nearest > 0 ? -1 : 1, rounding);
        }
        int sign = new BigDecimal(a).compareTo(new BigDecimal(nearest).multiply(new BigDecimal(b)));
        double result = direct(nearest, b < 0 ? -sign : sign, rounding);
        return result == 0 ? Math.copySign(result, Math.signum(b) * Math.copySign(1, a)) : result;
    }

    static double sqrt(double a, Rounding rounding) {
        double nearest = Math.sqrt(a);
        if (rounding == Rounding.RN || !(nearest > 0) || Double.isInfinite(nearest)) {
            return nearest;
        }
        BigDecimal root = new BigDecimal(nearest);
        return direct(nearest, new BigDecimal(a).compareTo(root.multiply(root)), rounding);
    }

    /** A whole number to f32. */
    static float fromLong(long value, boolean unsigned, Rounding rounding) {
        return round(oddFromLong(value, unsigned), rounding);
    }

    /** A whole number as a double rounded to odd. */
    static double oddFromLong(long value, boolean unsigned) {
        boolean negative = !unsigned && value < 0;
        long magnitude = negative ? -value : value;
        int excess = Math.max(0, 11 - Long.numberOfLeadingZeros(magnitude));
        double result;
        if (excess > 0) {
            long kept = magnitude >>> excess;
            kept |= kept << excess != magnitude ? 1 : 0;
            result = Math.scalb((double) kept, excess);
        } else {
            result = magnitude;
        }
        return negative ? -result : result;
    }

    /** A whole number to f64, rounded in the given direction. */
    static double toDouble(long value, boolean unsigned, Rounding rounding) {
        BigDecimal exact = new BigDecimal(unsigned
                ? new java.math.BigInteger(Long.toUnsignedString(value))
                : java.math.BigInteger.valueOf(value));
        return direct(exact.doubleValue(), () -> exact, rounding);
    }

    /** To a whole number, still as a double. */
    static double integral(double value, Rounding rounding) {
        return switch (rounding) {
            case RN -> Math.rint(value);
            case RZ -> value < 0 ? Math.ceil(value) : Math.floor(value);
            case RM -> Math.floor(value);
            case RP -> Math.ceil(value);
            case RNA -> Math.copySign(Math.floor(Math.abs(value) + 0.5), value);
        };
    }

    /** To a whole number of the given width; outside its range the nearest end. NaN gives {@code nan}. */
    static long toLong(double value, int bits, boolean signed, Rounding rounding, long nan) {
        if (value != value) {
            return nan;
        }
        double whole = integral(value, rounding);
        if (signed) {
            long high = Long.MAX_VALUE >> 64 - bits;
            return whole >= 0x1p63 ? high : Math.max(-high - 1, Math.min(high, (long) whole));
        }
        if (whole <= 0) {
            return 0;
        }
        if (whole >= Math.scalb(1d, bits)) {
            return -1L >>> 64 - bits;
        }
        return whole >= 0x1p63 ? (long) (whole - 0x1p63) + Long.MIN_VALUE : (long) whole;
    }
}
