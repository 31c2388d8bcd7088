/*
 * BF16 and F16 in memory, float32 in registers. What is read is widened, exactly; what is written is rounded to nearest,
 * ties to even, what is too large to an infinity, and every NaN becomes the one that is stored. The twins of
 * dev.isobit.math.NarrowFloats, on every device: nothing here needs more than sm_75.
 *
 * BF16 is rounded by integer operations: no more of them than a conversion and a test for NaN take. The conversions of
 * F16 are instructions, exactly rounded; gcc has them behind native-build/host-check/cuda_on_host.h.
 */
#pragma once

#include "exact_math.cuh"

#include <stdint.h>

namespace isobit {

#if defined(__CUDACC__)
__device__ __forceinline__ float float_of_half(uint16_t bits) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

/* Not the NaN that is stored. */
__device__ __forceinline__ uint16_t half_of_float(float x) {
    uint16_t bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}
#endif

/* An element type: how it is stored, and how many are one 128-bit access. */
struct F32 {
    using Stored = float;
    static constexpr int kPack = 4;

    static __device__ __forceinline__ float widen(float x) { return x; }
    static __device__ __forceinline__ float narrow(float x) { return canonical(x); }
};

struct Bf16 {
    using Stored = uint16_t;
    static constexpr int kPack = 8;

    static __device__ __forceinline__ float widen(uint16_t bits) {
        return __uint_as_float(static_cast<uint32_t>(bits) << 16);
    }

    /* The upper half is the result. The canonical NaN stays what it is. */
    static __device__ __forceinline__ uint32_t rounded(float x) {
        const uint32_t bits = __float_as_uint(canonical(x));
        return bits + 0x7fffu + ((bits >> 16) & 1u);
    }

    static __device__ __forceinline__ uint16_t narrow(float x) { return static_cast<uint16_t>(rounded(x) >> 16); }

    static __device__ __forceinline__ float widen_upper(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

    /* The first in the lower half. */
    static __device__ __forceinline__ uint32_t narrow_pair(float x, float y) {
        return rounded(x) >> 16 | (rounded(y) & 0xffff0000u);
    }
};

struct F16 {
    using Stored = uint16_t;
    static constexpr int kPack = 8;

    static __device__ __forceinline__ float widen(uint16_t bits) { return float_of_half(bits); }

    static __device__ __forceinline__ uint16_t narrow(float x) {
        return x != x ? static_cast<uint16_t>(0x7e00) : half_of_float(x);
    }

    static __device__ __forceinline__ float widen_upper(uint32_t pair) {
        return widen(static_cast<uint16_t>(pair >> 16));
    }

    static __device__ __forceinline__ uint32_t narrow_pair(float x, float y) {
        return narrow(x) | static_cast<uint32_t>(narrow(y)) << 16;
    }
};

} // namespace isobit
