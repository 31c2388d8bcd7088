/*
 * The softcap of logits, cap·tanh(y/cap), and its slope: operation for operation the twins of dev.isobit.math.ExactMath.
 */
#pragma once

#include "exact_math.cuh"

namespace isobit {

constexpr float kTanhNearEnd = 0.625f;
constexpr float kTanhC3 = static_cast<float>(-1.0 / 24);
constexpr float kTanhC5 = static_cast<float>(1.0 / 240);
constexpr float kTanhC7 = static_cast<float>(-17.0 / 40320);
constexpr float kTanhC9 = static_cast<float>(31.0 / 725760);
constexpr float kTanhC11 = static_cast<float>(-691.0 / 159667200);

/* e^(-2|y|/cap), rate = 2/cap. */
__device__ __forceinline__ float softcap_decay(float y, float rate) {
    float a = fabsf(y);
    float d = -__fmul_rn(a, rate);
    float u = exp_parts(d, __fmaf_rn(-a, rate, -d), kExpMagic, kExpLast);
    return d < kExpZeroBelow ? 0.0f : u;
}

/* cap·tanh(y/cap) from that. */
__device__ __forceinline__ float softcapped(float y, float cap, float rate, float decay) {
    float v = __fmul_rn(fabsf(y), rate);
    float q = __fmul_rn(v, v);
    float p = __fmaf_rn(kTanhC11, q, kTanhC9);
    p = __fmaf_rn(p, q, kTanhC7);
    p = __fmaf_rn(p, q, kTanhC5);
    p = __fmaf_rn(p, q, kTanhC3);
    p = __fmaf_rn(p, q, 0.5f);
    float far = __fdiv_rn(__fsub_rn(1.0f, decay), __fadd_rn(1.0f, decay));
    float z = __fmul_rn(cap, v < kTanhNearEnd ? __fmul_rn(v, p) : far);
    return y < 0.0f ? -z : z;
}

/* The slope of the softcap, from the decay. */
__device__ __forceinline__ float softcap_slope(float decay) {
    float s = __fadd_rn(1.0f, decay);
    return __fdiv_rn(__fmul_rn(4.0f, decay), __fmul_rn(s, s));
}

} // namespace isobit
