/* Vectors of floats, AVX-512 or AVX2 with FMA. Unaligned access throughout: on aligned addresses it costs nothing. */
#pragma once

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__) && defined(__AVX512DQ__)

#define LANES 16
typedef __m512 vec;

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
INLINE vec max(vec a, vec b) { return _mm512_max_ps(a, b); }
INLINE float max_of(vec a) { return _mm512_reduce_max_ps(a); }
INLINE float sum_of(vec a) { return _mm512_reduce_add_ps(a); }

/* The part of an access that lies before n elements; n >= 1. */
INLINE __mmask16 before(int64_t n) { return n >= LANES ? 0xffff : (__mmask16)((1u << n) - 1); }
INLINE vec load_part(const float* p, int64_t n, float fill) {
    return _mm512_mask_loadu_ps(broadcast(fill), before(n), p);
}
INLINE void store_part(float* p, int64_t n, vec x) { _mm512_mask_storeu_ps(p, before(n), x); }

/* y - floor(y) and p * 2^floor(y); 0 for y = -inf. */
INLINE vec fraction(vec y) { return _mm512_reduce_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
INLINE vec scale(vec p, vec y) { return _mm512_scalef_ps(p, y); }

#elif defined(__AVX2__) && defined(__FMA__)

#define LANES 8
typedef __m256 vec;

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
INLINE void store_part(float* p, int64_t n, vec x) { _mm256_maskstore_ps(p, before(n), x); }

/* Without scalef: y is held at -126, where results are about 1e-38. */
INLINE vec floor_of(vec y) { return _mm256_floor_ps(_mm256_max_ps(y, broadcast(-126))); }
INLINE vec fraction(vec y) { return sub(_mm256_max_ps(y, broadcast(-126)), floor_of(y)); }
INLINE vec scale(vec p, vec y) {
    __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(floor_of(y)), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
}

#else
#error "the baseline needs AVX-512 (F and DQ) or AVX2 with FMA"
#endif

#define LOG2E 0x1.715476p+0f

/*
 * e^(x - m), given m * LOG2E: 2^y with y = x LOG2E - m LOG2E in one fma, so that nothing but the fraction of y is left to
 * a polynomial. Fit of this project: degree 5 on [0, 1), relative error 7.5e-8; y's own rounding adds 2^-24 |y| ln 2.
 */
INLINE vec exp_difference(vec x, vec m_log2e) {
    vec y = mulsub(x, broadcast(LOG2E), m_log2e);
    vec r = fraction(y);
    vec p = broadcast(0x1.ec320ap-10f);
    p = muladd(p, r, broadcast(0x1.26900cp-7f));
    p = muladd(p, r, broadcast(0x1.c95446p-5f));
    p = muladd(p, r, broadcast(0x1.ebd5a8p-3f));
    p = muladd(p, r, broadcast(0x1.62e4f6p-1f));
    p = muladd(p, r, broadcast(0x1.fffffep-1f));
    return scale(p, y);
}
