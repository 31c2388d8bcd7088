/*
 * exp, log and log1p of float32 within 1 ULP over all inputs, and the float64 exp that joins segments: operation for
 * operation the twins of dev.isobit.math.ExactMath, where the constants are explained. NUMERICS.md says why.
 *
 * Every operation is an intrinsic with a rounding of its own, so that no compiler may fuse two of them. The same text
 * compiles with gcc behind native-build/host-check/cuda_on_host.h, which is how all 2^32 inputs are checked.
 */
#pragma once

namespace isobit {

constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLn2Hi = 0x1.62e400p-1f;
constexpr float kLn2Lo = 0x1.7f7d1cp-20f;
constexpr float kExpMagic = 0x1.8p+23f + 191;
constexpr float kExpMagicPositive = 0x1.8p+23f + 63;
constexpr float kExpLast = 0x1p-64f;
constexpr float kExpLastPositive = 0x1p+64f;
constexpr float kExpZeroBelow = -104;
constexpr float kExpInfiniteAbove = 89;
constexpr float kExpC2 = 0x1.fffffcp-2f;
constexpr float kExpC3 = 0x1.555490p-3f;
constexpr float kExpC4 = 0x1.5558fcp-5f;
constexpr float kExpC5 = 0x1.123b6ap-7f;
constexpr float kExpC6 = 0x1.6a21a8p-10f;

constexpr int kSqrtHalfBits = 0x3f3504f3;
constexpr float kLog1pNearStart = -0x1.2bec34p-2f;
constexpr float kLog1pNearEnd = 0x1.a8279ap-2f;
constexpr float kLogC3 = 0x1.555554p-2f;
constexpr float kLogC4 = -0x1.000228p-2f;
constexpr float kLogC5 = 0x1.99a010p-3f;
constexpr float kLogC6 = -0x1.5471f4p-3f;
constexpr float kLogC7 = 0x1.22d910p-3f;
constexpr float kLogC8 = -0x1.0d876cp-3f;
constexpr float kLogC9 = 0x1.056474p-3f;
constexpr float kLogC10 = -0x1.38c0f2p-4f;

constexpr double kLog2E64 = 0x1.71547652b82fep+0;
constexpr double kLn2Hi64 = 0x1.62e42fe000000p-1;
constexpr double kLn2Lo64 = 0x1.f473de6af278fp-30;
constexpr double kMagic64 = 0x1.8p+52;

/* The one NaN that is stored. */
__device__ __forceinline__ float canonical_nan() { return __uint_as_float(0x7fc00000u); }

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7f800000u); }

/* A NaN's bits depend on the device that made it: what is stored goes through here. */
__device__ __forceinline__ float canonical(float x) { return x != x ? canonical_nan() : x; }

/* e^(d + e) up to where the exponent is applied; `last` undoes what `magic` added to it. */
__device__ __forceinline__ float exp_parts(float d, float e, float magic, float last) {
    float t = __fmaf_rn(d, kLog2E, magic);
    float n = __fsub_rn(t, magic);
    float hi = __fmaf_rn(n, -kLn2Hi, d);
    float lo = __fmaf_rn(n, -kLn2Lo, e);
    float r = __fadd_rn(hi, lo);
    float p = __fmaf_rn(kExpC6, r, kExpC5);
    p = __fmaf_rn(p, r, kExpC4);
    p = __fmaf_rn(p, r, kExpC3);
    p = __fmaf_rn(p, r, kExpC2);
    p = __fmaf_rn(p, r, 1.0f);
    p = __fmaf_rn(p, r, 1.0f);
    float scale = __uint_as_float(__float_as_uint(t) << 23);
    return __fmul_rn(__fmul_rn(p, scale), last);
}

/* e^x. */
__device__ __forceinline__ float exact_exp(float x) {
    if (x > 0.0f) {
        return x > kExpInfiniteAbove ? infinity() : exp_parts(x, 0.0f, kExpMagicPositive, kExpLastPositive);
    }
    return x < kExpZeroBelow ? 0.0f : exp_parts(x, 0.0f, kExpMagic, kExpLast);
}

/* e^(z - m) with the rounding error of z - m carried along; z <= m, m finite. A NaN gives a NaN. */
__device__ __forceinline__ float exp_difference(float z, float m) {
    float d = __fsub_rn(z, m);
    float b = __fsub_rn(d, z);
    float e = __fadd_rn(__fsub_rn(z, __fsub_rn(d, b)), __fsub_rn(-m, b));
    float y = exp_parts(d, e, kExpMagic, kExpLast);
    return d < kExpZeroBelow ? 0.0f : y;
}

/* ln(1 + f) + c + k·ln 2, f in [sqrt(1/2) - 1, sqrt(2) - 1], c small. */
__device__ __forceinline__ float log_parts(float f, float c, float k) {
    float q = __fmaf_rn(kLogC10, f, kLogC9);
    q = __fmaf_rn(q, f, kLogC8);
    q = __fmaf_rn(q, f, kLogC7);
    q = __fmaf_rn(q, f, kLogC6);
    q = __fmaf_rn(q, f, kLogC5);
    q = __fmaf_rn(q, f, kLogC4);
    q = __fmaf_rn(q, f, kLogC3);
    float f2 = __fmul_rn(f, f);
    float inner = __fmaf_rn(__fmaf_rn(q, f, -0.5f), f2, __fmaf_rn(k, kLn2Lo, c));
    float hi = __fmul_rn(k, kLn2Hi);
    float sum = __fadd_rn(hi, f);
    float error = __fsub_rn(f, __fsub_rn(sum, hi));
    return __fadd_rn(sum, __fadd_rn(error, inner));
}

/* ln x. */
__device__ __forceinline__ float exact_log(float x) {
    if (!(x > 0.0f)) return x == 0.0f ? -infinity() : canonical_nan();
    if (x == infinity()) return x;
    float k0 = 0.0f;
    float y = x;
    if (x < 0x1p-126f) {
        y = __fmul_rn(x, 0x1p24f);
        k0 = -24.0f;
    }
    int bits = __float_as_int(y);
    int k = (bits - kSqrtHalfBits) >> 23;
    float significand = __int_as_float(bits - k * 0x800000);
    return log_parts(__fsub_rn(significand, 1.0f), 0.0f, __fadd_rn(__int2float_rn(k), k0));
}

/* ln(1 + x). */
__device__ __forceinline__ float exact_log1p(float x) {
    if (!(x > -1.0f)) return x == -1.0f ? -infinity() : canonical_nan();
    if (x == infinity() || x == 0.0f) return x;
    if (x > kLog1pNearStart && x < kLog1pNearEnd) return log_parts(x, 0.0f, 0.0f);
    float u = __fadd_rn(1.0f, x);
    float c = x <= 1.0f ? __fsub_rn(x, __fsub_rn(u, 1.0f)) : __fsub_rn(1.0f, __fsub_rn(u, x));
    int bits = __float_as_int(u);
    int k = (bits - kSqrtHalfBits) >> 23;
    float significand = __int_as_float(bits - k * 0x800000);
    float scale = k < 126 ? __int_as_float((127 - k) * 0x800000) : 0.0f;
    return log_parts(__fsub_rn(significand, 1.0f), __fdiv_rn(__fmul_rn(c, scale), significand), __int2float_rn(k));
}

/* One step of Horner's rule, unfused. */
__device__ __forceinline__ double horner64(double p, double r, double c) { return __dadd_rn(__dmul_rn(p, r), c); }

/* e^x in float64 for x <= 0; 0 below -200. */
__device__ __forceinline__ double exact_exp64(double x) {
    if (!(x >= -200.0)) return 0.0;
    double n = __dsub_rn(__dadd_rn(__dmul_rn(x, kLog2E64), kMagic64), kMagic64);
    double r = __dsub_rn(__dsub_rn(x, __dmul_rn(n, kLn2Hi64)), __dmul_rn(n, kLn2Lo64));
    double p = 1.0 / 479001600;
    p = horner64(p, r, 1.0 / 39916800);
    p = horner64(p, r, 1.0 / 3628800);
    p = horner64(p, r, 1.0 / 362880);
    p = horner64(p, r, 1.0 / 40320);
    p = horner64(p, r, 1.0 / 5040);
    p = horner64(p, r, 1.0 / 720);
    p = horner64(p, r, 1.0 / 120);
    p = horner64(p, r, 1.0 / 24);
    p = horner64(p, r, 1.0 / 6);
    p = horner64(p, r, 0.5);
    p = horner64(p, r, 1.0);
    p = horner64(p, r, 1.0);
    return __dmul_rn(p, __longlong_as_double((__double2ll_rz(n) + 1023) << 52));
}

} // namespace isobit
