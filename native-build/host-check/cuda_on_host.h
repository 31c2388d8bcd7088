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
