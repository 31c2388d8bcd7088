/*
 * The CUDA intrinsics that exact_math.cuh uses, for gcc: each is one operation that IEEE 754 rounds exactly. Compile with
 * -ffp-contract=off, so that the compiler fuses none of them, and without any -ffast-math.
 */
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define __device__
#define __forceinline__ inline

template <typename To, typename From>
inline To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

inline float __uint_as_float(uint32_t x) { return bits_as<float>(x); }
inline uint32_t __float_as_uint(float x) { return bits_as<uint32_t>(x); }
inline float __int_as_float(int32_t x) { return bits_as<float>(x); }
inline int32_t __float_as_int(float x) { return bits_as<int32_t>(x); }
inline double __longlong_as_double(long long x) { return bits_as<double>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline long long __double2ll_rz(double x) { return static_cast<long long>(x); }

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }

/* The conversions of F16, which are instructions on a device. */
namespace isobit {

inline float float_of_half(uint16_t half) {
    const uint32_t magnitude = half & 0x7fffu;
    const uint32_t bits = __float_as_uint(__uint_as_float(magnitude << 13) * 0x1p112f);
    return __uint_as_float((half & 0x8000u) << 16 | bits | (magnitude >= 0x7c00u ? 0x7f800000u : 0u));
}

inline uint16_t half_of_float(float x) {
    const uint32_t sign = __float_as_uint(x) >> 16 & 0x8000u;
    const uint32_t bits = __float_as_uint(x) & 0x7fffffffu;
    const uint32_t normal = (bits + 0xfffu + (bits >> 13 & 1u) - (112u << 23)) >> 13;
    const uint32_t subnormal = __float_as_uint(__uint_as_float(bits) + 0.5f) - __float_as_uint(0.5f);
    return static_cast<uint16_t>(sign | (bits >= 0x47800000u ? 0x7c00u : bits < 0x38800000u ? subnormal : normal));
}

} // namespace isobit
