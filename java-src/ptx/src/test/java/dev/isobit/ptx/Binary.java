package dev.isobit.ptx;

import java.math.BigInteger;

/**
 * The definition of IEEE 754 arithmetic, in whole numbers only: values are {@code magnitude · 2^exponent}, results are
 * formed exactly and rounded once. Slow and obvious; shares nothing with what it checks.
 */
record Binary(int precision, int minExponent, int maxExponent, int bits, long nan) {
    static final Binary F16 = new Binary(11, -14, 15, 16, 0x7fff);
    static final Binary BF16 = new Binary(8, -126, 127, 16, 0x7fff);
    static final Binary F32 = new Binary(24, -126, 127, 32, 0x7fffffff);
    static final Binary F64 = new Binary(53, -1022, 1023, 64, 0x7ff8000000000000L);

    /** A finite number. A zero keeps its sign; {@code sticky} stands for a little more than the magnitude. */
    record Exact(boolean negative, BigInteger magnitude, int exponent, boolean sticky) {
        boolean isZero() {
            return magnitude.signum() == 0 && !sticky;
        }

        Exact negated() {
            return new Exact(!negative, magnitude, exponent, sticky);
        }

        BigInteger signed() {
            return negative ? magnitude.negate() : magnitude;
        }
    }

    private int fractionBits() {
        return precision - 1;
    }

    private long fraction(long x) {
        return x & (1L << fractionBits()) - 1;
    }

    private int field(long x) {
        return (int) (x >>> fractionBits()) & (1 << bits - precision) - 1;
    }

    private int topField() {
        return (1 << bits - precision) - 1;
    }

    boolean isNan(long x) {
        return field(x) == topField() && fraction(x) != 0;
    }

    boolean isInfinite(long x) {
        return field(x) == topField() && fraction(x) == 0;
    }

    boolean isSubnormal(long x) {
        return field(x) == 0 && fraction(x) != 0;
    }

    boolean isNegative(long x) {
        return (x >>> bits - 1 & 1) != 0;
    }

    long infinity(boolean negative) {
        return sign(negative) | (long) topField() << fractionBits();
    }

    long largest(boolean negative) {
        return infinity(negative) - 1;
    }

    long sign(boolean negative) {
        return negative ? 1L << bits - 1 : 0;
    }

    long flush(long x) {
        return isSubnormal(x) ? sign(isNegative(x)) : x;
    }

    Exact exact(long x) {
        boolean normal = field(x) != 0;
        long magnitude = fraction(x) | (normal ? 1L << fractionBits() : 0);
        int exponent = (normal ? field(x) : 1) - 1 + minExponent - fractionBits();
        return new Exact(isNegative(x), BigInteger.valueOf(magnitude), exponent, false);
    }

    /** One rounding. */
    long round(Exact value, String mode) {
        if (value.isZero()) {
            return sign(value.negative);
        }
        // Cut to units of the last place: 2^unit.
        int length = value.magnitude.bitLength();
        int unit = Math.max(value.exponent + length - precision, minExponent - fractionBits());
        BigInteger whole;
        BigInteger rest;
        int shift = unit - value.exponent;
        if (shift <= 0) {
            whole = value.magnitude.shiftLeft(-shift);
            rest = BigInteger.ZERO;
            shift = 1; // no half to compare with: only the sticky part is left
        } else {
            whole = value.magnitude.shiftRight(shift);
            rest = value.magnitude.subtract(whole.shiftLeft(shift));
        }
        int half = rest.compareTo(BigInteger.ONE.shiftLeft(shift - 1));
        boolean inexact = rest.signum() != 0 || value.sticky;
        boolean up = switch (mode) {
            case "rn" -> half > 0 || half == 0 && (value.sticky || whole.testBit(0));
            case "rz" -> false;
            case "rm" -> inexact && value.negative;
            case "rp" -> inexact && !value.negative;
            default -> throw new IllegalArgumentException(mode);
        };
        whole = up ? whole.add(BigInteger.ONE) : whole;
        if (whole.bitLength() > precision) {
            whole = whole.shiftRight(1);
            unit++;
        }
        if (whole.bitLength() == precision && unit + fractionBits() > maxExponent) {
            boolean toInfinity = mode.equals("rn") || mode.equals(value.negative ? "rm" : "rp");
            return toInfinity ? infinity(value.negative) : largest(value.negative);
        }
        long result = whole.longValueExact();
        if (whole.bitLength() == precision) {
            long field = unit + fractionBits() - minExponent + 1L;
            result = field << fractionBits() | result & (1L << fractionBits()) - 1;
        }
        return sign(value.negative) | result;
    }

    private Exact sum(Exact a, Exact b, String mode) {
        int exponent = Math.min(a.exponent, b.exponent);
        BigInteger sum = a.signed().shiftLeft(a.exponent - exponent).add(b.signed().shiftLeft(b.exponent - exponent));
        boolean negative = sum.signum() == 0
                ? a.negative == b.negative && a.isZero() == b.isZero() ? a.negative : mode.equals("rm")
                : sum.signum() < 0;
        return new Exact(negative, sum.abs(), exponent, false);
    }

    long add(long a, long b, String mode) {
        if (isNan(a) || isNan(b)) {
            return nan;
        }
        if (isInfinite(a)) {
            return isInfinite(b) && isNegative(a) != isNegative(b) ? nan : a;
        }
        return isInfinite(b) ? b : round(sum(exact(a), exact(b), mode), mode);
    }

    long subtract(long a, long b, String mode) {
        return add(a, isNan(b) ? b : b ^ sign(true), mode);
    }

    long multiply(long a, long b, String mode) {
        if (isNan(a) || isNan(b)) {
            return nan;
        }
        boolean negative = isNegative(a) != isNegative(b);
        if (isInfinite(a) || isInfinite(b)) {
            boolean zero = !isInfinite(a) && exact(a).isZero() || !isInfinite(b) && exact(b).isZero();
            return zero ? nan : infinity(negative);
        }
        return round(product(exact(a), exact(b)), mode);
    }

    private static Exact product(Exact a, Exact b) {
        return new Exact(a.negative != b.negative, a.magnitude.multiply(b.magnitude), a.exponent + b.exponent, false);
    }

    long fma(long a, long b, long c, String mode) {
        if (isNan(a) || isNan(b) || isNan(c)) {
            return nan;
        }
        if (isInfinite(a) || isInfinite(b)) {
            long product = multiply(a, b, mode);
            return isNan(product) || isInfinite(c) && c != product ? nan : product;
        }
        return isInfinite(c) ? c : round(sum(product(exact(a), exact(b)), exact(c), mode), mode);
    }

    long divide(long a, long b, String mode) {
        if (isNan(a) || isNan(b)) {
            return nan;
        }
        boolean negative = isNegative(a) != isNegative(b);
        if (isInfinite(a)) {
            return isInfinite(b) ? nan : infinity(negative);
        }
        if (isInfinite(b)) {
            return sign(negative);
        }
        Exact x = exact(a);
        Exact y = exact(b);
        if (y.isZero()) {
            return x.isZero() ? nan : infinity(negative);
        }
        int shift = 2 * precision + 4;
        BigInteger[] quotient = x.magnitude.shiftLeft(shift).divideAndRemainder(y.magnitude);
        return round(new Exact(negative, quotient[0], x.exponent - y.exponent - shift, quotient[1].signum() != 0),
                mode);
    }

    long sqrt(long a, String mode) {
        if (isNan(a)) {
            return nan;
        }
        if (!isInfinite(a) && exact(a).isZero()) {
            return a;
        }
        if (isNegative(a)) {
            return nan;
        }
        if (isInfinite(a)) {
            return a;
        }
        Exact x = exact(a);
        int shift = 2 * precision + 4;
        if ((x.exponent - shift & 1) != 0) {
            shift++;
        }
        BigInteger[] root = x.magnitude.shiftLeft(shift).sqrtAndRemainder();
        return round(new Exact(false, root[0], (x.exponent - shift) / 2, root[1].signum() != 0), mode);
    }

    /** Order of two numbers, neither NaN: negative, 0 or positive. */
    int compare(long a, long b) {
        return order(a).compareTo(order(b));
    }

    private BigInteger order(long x) {
        BigInteger magnitude = BigInteger.valueOf(x & ~sign(true) & (bits == 64 ? -1L : (1L << bits) - 1));
        return isNegative(x) ? magnitude.negate() : magnitude;
    }

    /** IEEE minNum and maxNum with -0 below +0. */
    long minOrMax(boolean min, long a, long b) {
        if (isNan(a)) {
            return isNan(b) ? nan : b;
        }
        if (isNan(b)) {
            return a;
        }
        int order = compare(a, b);
        if (order == 0) {
            return isNegative(a) == min ? a : b;
        }
        return order < 0 == min ? a : b;
    }

    /** To a whole number, rounded. */
    static BigInteger integral(Exact value, String mode) {
        if (value.exponent >= 0) {
            return value.signed().shiftLeft(value.exponent);
        }
        BigInteger whole = value.magnitude.shiftRight(-value.exponent);
        BigInteger rest = value.magnitude.subtract(whole.shiftLeft(-value.exponent));
        int half = rest.compareTo(BigInteger.ONE.shiftLeft(-value.exponent - 1));
        boolean up = switch (mode) {
            case "rn" -> half > 0 || half == 0 && whole.testBit(0);
            case "rz" -> false;
            case "rm" -> rest.signum() != 0 && value.negative;
            default -> rest.signum() != 0 && !value.negative;
        };
        whole = up ? whole.add(BigInteger.ONE) : whole;
        return value.negative ? whole.negate() : whole;
    }

    /** A number of another format in this one. */
    long convert(Binary from, long x, String mode) {
        if (from.isNan(x)) {
            return nan;
        }
        return from.isInfinite(x) ? infinity(from.isNegative(x)) : round(from.exact(x), mode);
    }
}
