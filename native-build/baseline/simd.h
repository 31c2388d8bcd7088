/*
 * Vectors of floats, AVX-512 or AVX2 with FMA, and elements of F32, BF16 or F16 in memory, which become such vectors. Unaligned
 * access throughout: on aligned addresses it costs nothing. A dtype is a constant wherever it is asked for in a loop.
 */
#pragma once

#include "baseline.h"

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

#define LANES 16
typedef __m512 vec;
typedef __m512i ints;
typedef __m256i halves; /* as many elements of 16 bits */
typedef __mmask16 mask;

INLINE vec broadcast(float x) { return _mm512_set1_ps(x); }
INLINE vec load(const float* p) { return _mm512_loadu_ps(p); }
INLINE void store(float* p, vec x) { _mm512_storeu_ps(p, x); }
INLINE void stream(float* p, vec x) { _mm512_stream_ps(p, x); }
INLINE vec add(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec divide(vec a, vec b) { return _mm512_div_ps(a, b); }
INLINE vec root(vec a) { return _mm512_sqrt_ps(a); }
INLINE vec muladd(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vec mulsub(vec a, vec b, vec c) { return _mm512_fmsub_ps(a, b, c); }
INLINE vec mulneg(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }
INLINE vec max(vec a, vec b) { return _mm512_max_ps(a, b); }
INLINE float max_of(vec a) { return _mm512_reduce_max_ps(a); }
INLINE float sum_of(vec a) { return _mm512_reduce_add_ps(a); }

/* The part of an access that lies before n elements; n >= 1. */
INLINE __mmask16 before(int64_t n) { return n >= LANES ? 0xffff : (__mmask16)((1u << n) - 1); }
INLINE vec load_part(const float* p, int64_t n, float fill) {
    return _mm512_mask_loadu_ps(broadcast(fill), before(n), p);
}
INLINE vec choose_before(int64_t n, vec x, float fill) { return _mm512_mask_mov_ps(broadcast(fill), before(n), x); }
INLINE float first(vec x) { return _mm512_cvtss_f32(x); }
INLINE void store_part(float* p, int64_t n, vec x) { _mm512_mask_storeu_ps(p, before(n), x); }

INLINE ints whole(int32_t x) { return _mm512_set1_epi32(x); }
INLINE ints load_ints(const int32_t* p) { return _mm512_loadu_si512(p); }
INLINE ints bits(vec x) { return _mm512_castps_si512(x); }
INLINE vec floats(ints x) { return _mm512_castsi512_ps(x); }
INLINE ints plus(ints a, ints b) { return _mm512_add_epi32(a, b); }
INLINE ints minus(ints a, ints b) { return _mm512_sub_epi32(a, b); }
INLINE ints both(ints a, ints b) { return _mm512_and_si512(a, b); }
INLINE ints either(ints a, ints b) { return _mm512_or_si512(a, b); }
INLINE ints differing(ints a, ints b) { return _mm512_xor_si512(a, b); }
INLINE vec to_floats(ints x) { return _mm512_cvtepi32_ps(x); }
/* By a constant number of bits. */
#define up(x, n)          _mm512_slli_epi32(x, n)
#define down(x, n)        _mm512_srli_epi32(x, n)
#define down_signed(x, n) _mm512_srai_epi32(x, n)

INLINE mask greater(ints a, ints b) { return _mm512_cmpgt_epi32_mask(a, b); }
INLINE mask equal(ints a, ints b) { return _mm512_cmpeq_epi32_mask(a, b); }
/* Lanes whose sign bit is set. */
INLINE mask negative(vec x) { return _mm512_movepi32_mask(bits(x)); }
/* yes where the mask is set, else no. */
INLINE vec choose(mask m, vec yes, vec no) { return _mm512_mask_blend_ps(m, no, yes); }
INLINE ints choose_ints(mask m, ints yes, ints no) { return _mm512_mask_blend_epi32(m, no, yes); }
INLINE vec masked_sub(vec a, mask m, vec b) { return _mm512_mask_sub_ps(a, m, a, b); }

/* Lane i of the result is lane at[i] of x. */
INLINE vec permuted(vec x, ints at) { return _mm512_permutexvar_ps(at, x); }
INLINE ints permuted_ints(ints x, ints at) { return _mm512_permutexvar_epi32(at, x); }

/* Lanes exchanged with those 1 or 2 further on. */
INLINE vec swapped(vec x, int distance) {
    return distance == 1 ? _mm512_permute_ps(x, 0xb1) : _mm512_permute_ps(x, 0x4e);
}

/* 1 / x to an ULP or so, x normal: a first guess of 14 bits and a step of Newton's, faster than the divider. */
INLINE vec reciprocal(vec x) {
    vec guess = _mm512_rcp14_ps(x);
    return muladd(guess, mulneg(x, guess, broadcast(1)), guess);
}

INLINE halves load_halves(const uint16_t* p) { return _mm256_loadu_si256((const void*)p); }
INLINE halves load_halves_part(const uint16_t* p, int64_t n) { return _mm256_maskz_loadu_epi16(before(n), p); }
INLINE void store_halves(uint16_t* p, halves x) { _mm256_storeu_si256((void*)p, x); }
INLINE void store_halves_part(uint16_t* p, int64_t n, halves x) { _mm256_mask_storeu_epi16(p, before(n), x); }
INLINE void stream_halves(uint16_t* p, halves x) { _mm256_stream_si256((void*)p, x); }
INLINE ints lengthened(halves x) { return _mm512_cvtepu16_epi32(x); }
INLINE halves shortened(ints x) { return _mm512_cvtepi32_epi16(x); }

/*
 * Folds LANES vectors to one: lane i of the result is the sum, or the maximum, of the lanes of x[i]. Half of the lanes of
 * two vectors become a vector, four times.
 */
#define FOLD(name, combined)                                                                                 \
    INLINE vec name(const vec* x) {                                                                          \
        vec a[8], b[4], c[2];                                                                                \
        for (int i = 0; i < 8; i++) {                                                                        \
            vec from = x[2 * i], with = x[2 * i + 1];                                                        \
            a[i] = combined(_mm512_shuffle_ps(from, with, 0x44), _mm512_shuffle_ps(from, with, 0xee));       \
        }                                                                                                    \
        for (int i = 0; i < 4; i++) {                                                                        \
            vec from = a[2 * i], with = a[2 * i + 1];                                                        \
            b[i] = combined(_mm512_shuffle_ps(from, with, 0x88), _mm512_shuffle_ps(from, with, 0xdd));       \
        }                                                                                                    \
        for (int i = 0; i < 2; i++) {                                                                        \
            vec from = b[2 * i], with = b[2 * i + 1];                                                        \
            c[i] = combined(_mm512_shuffle_f32x4(from, with, 0x44), _mm512_shuffle_f32x4(from, with, 0xee)); \
        }                                                                                                    \
        return combined(_mm512_shuffle_f32x4(c[0], c[1], 0x88), _mm512_shuffle_f32x4(c[0], c[1], 0xdd));     \
    }

/* y - floor(y) and p * 2^floor(y); 0 for y = -inf. */
INLINE vec fraction(vec y) { return _mm512_reduce_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vec scale(vec p, vec y) { return _mm512_scalef_ps(p, y); }

#elif defined(__AVX2__) && defined(__FMA__)

#define LANES             8
typedef __m256 vec;
typedef __m256i ints;
typedef __m128i halves; /* as many elements of 16 bits */
typedef __m256i mask;

INLINE vec broadcast(float x) { return _mm256_set1_ps(x); }
INLINE vec load(const float* p) { return _mm256_loadu_ps(p); }
INLINE void store(float* p, vec x) { _mm256_storeu_ps(p, x); }
INLINE void stream(float* p, vec x) { _mm256_stream_ps(p, x); }
INLINE vec add(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
INLINE vec mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec divide(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE vec root(vec a) { return _mm256_sqrt_ps(a); }
INLINE vec muladd(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vec mulsub(vec a, vec b, vec c) { return _mm256_fmsub_ps(a, b, c); }
INLINE vec mulneg(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE vec max(vec a, vec b) { return _mm256_max_ps(a, b); }
INLINE float max_of(vec a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}
INLINE float sum_of(vec a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

INLINE __m256i before(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n < LANES ? (int)n : LANES), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vec load_part(const float* p, int64_t n, float fill) {
    __m256i inside = before(n);
    return _mm256_blendv_ps(broadcast(fill), _mm256_maskload_ps(p, inside), _mm256_castsi256_ps(inside));
}
INLINE vec choose_before(int64_t n, vec x, float fill) {
    return _mm256_blendv_ps(broadcast(fill), x, _mm256_castsi256_ps(before(n)));
}
INLINE float first(vec x) { return _mm256_cvtss_f32(x); }
INLINE void store_part(float* p, int64_t n, vec x) { _mm256_maskstore_ps(p, before(n), x); }

INLINE ints whole(int32_t x) { return _mm256_set1_epi32(x); }
INLINE ints load_ints(const int32_t* p) { return _mm256_loadu_si256((const void*)p); }
INLINE ints bits(vec x) { return _mm256_castps_si256(x); }
INLINE vec floats(ints x) { return _mm256_castsi256_ps(x); }
INLINE ints plus(ints a, ints b) { return _mm256_add_epi32(a, b); }
INLINE ints minus(ints a, ints b) { return _mm256_sub_epi32(a, b); }
INLINE ints both(ints a, ints b) { return _mm256_and_si256(a, b); }
INLINE ints either(ints a, ints b) { return _mm256_or_si256(a, b); }
INLINE ints differing(ints a, ints b) { return _mm256_xor_si256(a, b); }
INLINE vec to_floats(ints x) { return _mm256_cvtepi32_ps(x); }
#define up(x, n)          _mm256_slli_epi32(x, n)
#define down(x, n)        _mm256_srli_epi32(x, n)
#define down_signed(x, n) _mm256_srai_epi32(x, n)

INLINE mask greater(ints a, ints b) { return _mm256_cmpgt_epi32(a, b); }
INLINE mask equal(ints a, ints b) { return _mm256_cmpeq_epi32(a, b); }
INLINE mask negative(vec x) { return bits(x); }
INLINE vec choose(mask m, vec yes, vec no) { return _mm256_blendv_ps(no, yes, floats(m)); }
INLINE ints choose_ints(mask m, ints yes, ints no) { return bits(choose(m, floats(yes), floats(no))); }
INLINE vec masked_sub(vec a, mask m, vec b) { return sub(a, floats(both(m, bits(b)))); }

INLINE vec permuted(vec x, ints at) { return _mm256_permutevar8x32_ps(x, at); }
INLINE ints permuted_ints(ints x, ints at) { return _mm256_permutevar8x32_epi32(x, at); }

INLINE vec swapped(vec x, int distance) {
    return distance == 1 ? _mm256_permute_ps(x, 0xb1) : _mm256_permute_ps(x, 0x4e);
}

/* A guess here has 12 bits, too few for one step. */
INLINE vec reciprocal(vec x) { return divide(broadcast(1), x); }

INLINE halves load_halves(const uint16_t* p) { return _mm_loadu_si128((const void*)p); }
INLINE halves load_halves_part(const uint16_t* p, int64_t n) {
    uint16_t part[LANES] = {0};
    memcpy(part, p, (size_t)(n < LANES ? n : LANES) * sizeof *p);
    return load_halves(part);
}
INLINE void store_halves(uint16_t* p, halves x) { _mm_storeu_si128((void*)p, x); }
INLINE void store_halves_part(uint16_t* p, int64_t n, halves x) {
    uint16_t part[LANES];
    store_halves(part, x);
    memcpy(p, part, (size_t)(n < LANES ? n : LANES) * sizeof *p);
}
INLINE void stream_halves(uint16_t* p, halves x) { _mm_stream_si128((void*)p, x); }
INLINE ints lengthened(halves x) { return _mm256_cvtepu16_epi32(x); }
INLINE halves shortened(ints x) {
    // As signed numbers none is held at an end: packing keeps the low half of each.
    ints low = _mm256_srai_epi32(_mm256_slli_epi32(x, 16), 16);
    return _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
}

#define FOLD(name, combined)                                                                                 \
    INLINE vec name(const vec* x) {                                                                          \
        vec a[4], b[2];                                                                                      \
        for (int i = 0; i < 4; i++) {                                                                        \
            vec from = x[2 * i], with = x[2 * i + 1];                                                        \
            a[i] = combined(_mm256_shuffle_ps(from, with, 0x44), _mm256_shuffle_ps(from, with, 0xee));       \
        }                                                                                                    \
        for (int i = 0; i < 2; i++) {                                                                        \
            vec from = a[2 * i], with = a[2 * i + 1];                                                        \
            b[i] = combined(_mm256_shuffle_ps(from, with, 0x88), _mm256_shuffle_ps(from, with, 0xdd));       \
        }                                                                                                    \
        return combined(_mm256_permute2f128_ps(b[0], b[1], 0x20), _mm256_permute2f128_ps(b[0], b[1], 0x31)); \
    }

/* Without scalef: y is held at -126, where results are about 1e-38. */
INLINE vec floor_of(vec y) { return _mm256_floor_ps(_mm256_max_ps(y, broadcast(-126))); }
INLINE vec fraction(vec y) { return sub(_mm256_max_ps(y, broadcast(-126)), floor_of(y)); }
INLINE vec scale(vec p, vec y) {
    __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(floor_of(y)), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

#else
#error "the baseline needs AVX-512 (F, BW, DQ and VL) or AVX2 with FMA"
#endif

FOLD(fold_sums, add)
FOLD(fold_maxima, max)

#define LOG2E 0x1.715476p+0f
#define LN2   0x1.62e430p-1f

/* 2^y for y <= 127. Fit of this project: degree 5 on [0, 1), relative error 7.5e-8. */
INLINE vec power_of_two(vec y) {
    vec r = fraction(y);
    vec p = broadcast(0x1.ec320ap-10f);
    p = muladd(p, r, broadcast(0x1.26900cp-7f));
    p = muladd(p, r, broadcast(0x1.c95446p-5f));
    p = muladd(p, r, broadcast(0x1.ebd5a8p-3f));
    p = muladd(p, r, broadcast(0x1.62e4f6p-1f));
    p = muladd(p, r, broadcast(0x1.fffffep-1f));
    return scale(p, y);
}

/*
 * e^(x - m), given m * LOG2E: 2^y with y = x LOG2E - m LOG2E in one fma, so that nothing but the fraction of y is left to
 * a polynomial; y's own rounding adds 2^-24 |y| ln 2.
 */
INLINE vec exp_difference(vec x, vec m_log2e) { return power_of_two(mulsub(x, broadcast(LOG2E), m_log2e)); }

/* log(1 + e) for e in [0, 1]. Fit of this project: e times degree 8, relative error 3e-8 and rounding. */
INLINE vec log_of_1_plus(vec e) {
    vec p = broadcast(0x1.56ed9ep-8f);
    p = muladd(p, e, broadcast(-0x1.e36984p-6f));
    p = muladd(p, e, broadcast(0x1.4069aep-4f));
    p = muladd(p, e, broadcast(-0x1.17d2b0p-3f));
    p = muladd(p, e, broadcast(0x1.874a78p-3f));
    p = muladd(p, e, broadcast(-0x1.fcc8c4p-3f));
    p = muladd(p, e, broadcast(0x1.553004p-2f));
    p = muladd(p, e, broadcast(-0x1.fffeacp-2f));
    p = muladd(p, e, broadcast(0x1.fffffep-1f));
    return mul(e, p);
}

/* log(x), x normal: x = 2^k m with m from sqrt(1/2) to sqrt(2), m - 1 times degree 8, relative error 3e-8 and rounding. */
INLINE vec log_of(vec x) {
    ints k = down_signed(minus(bits(x), whole(0x3f3504f3)), 23);
    vec f = sub(floats(minus(bits(x), up(k, 23))), broadcast(1));
    vec p = broadcast(0x1.654422p-4f);
    p = muladd(p, f, broadcast(-0x1.263b8ap-3f));
    p = muladd(p, f, broadcast(0x1.3238f8p-3f));
    p = muladd(p, f, broadcast(-0x1.5332a8p-3f));
    p = muladd(p, f, broadcast(0x1.98b748p-3f));
    p = muladd(p, f, broadcast(-0x1.000570p-2f));
    p = muladd(p, f, broadcast(0x1.555792p-2f));
    p = muladd(p, f, broadcast(-0x1.fffff8p-2f));
    p = muladd(p, f, broadcast(1));
    return muladd(to_floats(k), broadcast(LN2), mul(f, p));
}

/* By integers, as the Vector API has to: neither vcvtph2ps nor vcvtneps2bf16. No NaN. */
INLINE vec widen(halves x, int dtype) {
    ints number = lengthened(x);
    if (dtype == kBF16) return floats(up(number, 16));
    ints moved = up(both(number, whole(0x7fff)), 13);
    ints scaled = bits(mul(floats(moved), broadcast(0x1p112f)));
    scaled = choose_ints(greater(moved, whole((0x7c00 << 13) - 1)), either(scaled, whole(0x7f800000)), scaled);
    return floats(either(scaled, up(both(number, whole(0x8000)), 16)));
}

/* To the nearest, ties to even. */
INLINE halves narrow(vec x, int dtype) {
    ints number = bits(x);
    if (dtype == kBF16) {
        ints odd = both(down(number, 16), whole(1));
        return shortened(down(plus(plus(odd, number), whole(0x7fff)), 16));
    }
    ints magnitude = both(number, whole(0x7fffffff));
    // A number whose exponent F16 does not have: adding 0.5 leaves it where the smallest F16 is a unit in the last place.
    ints small = minus(bits(add(floats(magnitude), broadcast(0.5f))), whole(0x3f000000));
    ints odd = both(down(magnitude, 13), whole(1));
    ints rounded = down(plus(plus(odd, magnitude), whole(0xfff - (112 << 23))), 13);
    rounded = choose_ints(greater(whole(0x38800000), magnitude), small, rounded);
    rounded = choose_ints(greater(magnitude, whole(0x477fffff)), whole(0x7c00), rounded);
    return shortened(either(rounded, both(down(number, 16), whole(0x8000))));
}

INLINE int64_t size_of(int dtype) { return dtype == kF32 ? 4 : 2; }

/* LANES elements from element i on. */
INLINE vec load_as(const void* p, int64_t i, int dtype) {
    return dtype == kF32 ? load((const float*)p + i) : widen(load_halves((const uint16_t*)p + i), dtype);
}
INLINE void store_as(void* p, int64_t i, vec x, int dtype) {
    if (dtype == kF32) {
        store((float*)p + i, x);
    } else {
        store_halves((uint16_t*)p + i, narrow(x, dtype));
    }
}

/* Elements i to i + n - 1, at most LANES, and fill behind them; n >= 1. */
INLINE vec load_part_as(const void* p, int64_t i, int64_t n, float fill, int dtype) {
    if (dtype == kF32) return load_part((const float*)p + i, n, fill);
    vec x = widen(load_halves_part((const uint16_t*)p + i, n), dtype);
    return fill == 0 ? x : choose_before(n, x, fill);
}
INLINE void store_part_as(void* p, int64_t i, int64_t n, vec x, int dtype) {
    if (dtype == kF32) {
        store_part((float*)p + i, n, x);
    } else {
        store_halves_part((uint16_t*)p + i, n, narrow(x, dtype));
    }
}

/* Past the caches; element i is where a vector's elements are aligned. */
INLINE void stream_as(void* p, int64_t i, vec x, int dtype) {
    if (dtype == kF32) {
        stream((float*)p + i, x);
    } else {
        stream_halves((uint16_t*)p + i, narrow(x, dtype));
    }
}

INLINE float get(const void* p, int64_t i, int dtype) { return first(load_part_as(p, i, 1, 0, dtype)); }
INLINE void set(void* p, int64_t i, float x, int dtype) { store_part_as(p, i, 1, broadcast(x), dtype); }
