/*
 * How a group's learning rate changes with its steps: a factor in [0, 1] of the rate that the host has set. With done the
 * steps done before, W = warmup_steps, T = decay_steps, passed = min(done - W, T):
 *
 *   done < W             warmup_start + (1 - warmup_start)·done/W
 *   SCHEDULE_CONSTANT    1
 *   SCHEDULE_LINEAR      decay + (1 - decay)·(T - passed)/T
 *   SCHEDULE_COSINE      decay + (1 - decay)·(1 + cos(pi·passed/T))/2
 *   SCHEDULE_STEP        decay^floor((done - W)/T)
 *
 * in exactly rounded float64 operations, in the order of NUMERICS.md: dev.isobit.LrSchedule is the twin for hosts.
 */
#pragma once

#include <stdint.h>

#include "exact_math.cuh"
#include "guard_params.h"

namespace isobit {
namespace schedule {

/* base^exponent by repeated squaring, lowest bit first. */
__device__ __forceinline__ double power(double base, int64_t exponent) {
    double result = 1.0;
    for (; exponent != 0; exponent >>= 1) {
        if ((exponent & 1) != 0) result = __dmul_rn(result, base);
        base = __dmul_rn(base, base);
    }
    return result;
}

/* part/whole, whole > 0. Long division: what an assembler makes of 64 bits is a call, which would need a stack. */
__device__ __forceinline__ int64_t quotient(int64_t part, int64_t whole) {
    int64_t result = 0;
    int64_t rest = 0;
#pragma unroll 1
    for (int bit = 62; bit >= 0; bit--) {
        rest = 2 * rest + (part >> bit & 1);
        result *= 2;
        if (rest >= whole) {
            rest -= whole;
            result++;
        }
    }
    return result;
}

/* sin²(x·pi/2) for x in [0, 1/2]. */
__device__ __forceinline__ double sine_squared(double x) {
    const double square = __dmul_rn(x, x);
    double p = 6.0669357311061955e-12;
    p = horner64(p, square, -6.688035109811468e-10);
    p = horner64(p, square, 5.692172921967927e-08);
    p = horner64(p, square, -3.598843235212085e-06);
    p = horner64(p, square, 0.00016044118478735983);
    p = horner64(p, square, -0.004681754135318688);
    p = horner64(p, square, 0.07969262624616705);
    p = horner64(p, square, -0.6459640975062463);
    p = horner64(p, square, 1.5707963267948966);
    const double sine = __dmul_rn(p, x);
    return __dmul_rn(sine, sine);
}

/* The factor of a step, from 1. A cosine is taken from its nearer end, so that nothing cancels. */
__device__ __forceinline__ double factor(const lr_schedule& s, int64_t step) {
    const int64_t done = step - 1;
    const int64_t after = done - s.warmup_steps;
    const bool warms = after < 0;
    if (!warms && s.shape == SCHEDULE_CONSTANT) return 1.0;
    if (!warms && s.shape == SCHEDULE_STEP) return power(s.decay, quotient(after, s.decay_steps));
    const int64_t passed = after < s.decay_steps ? after : s.decay_steps;
    const int64_t left = s.decay_steps - passed;
    const bool cosine = !warms && s.shape == SCHEDULE_COSINE;
    const bool begins = passed <= left;
    const int64_t part = warms ? done : cosine && begins ? passed : left;
    double share = __ddiv_rn(__ll2double_rn(part), __ll2double_rn(warms ? s.warmup_steps : s.decay_steps));
    if (cosine) {
        share = sine_squared(share);
        if (begins) share = __dsub_rn(1.0, share);
    }
    const double from = warms ? s.warmup_start : s.decay;
    return __dadd_rn(from, __dmul_rn(__dsub_rn(1.0, from), share));
}

} // namespace schedule
} // namespace isobit
