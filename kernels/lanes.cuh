/*
 * Sums in the one order that NUMERICS.md defines: lane = index mod 1024, lanes folded from the highest bit of the lane
 * number to the lowest. And maxima and integer sums, which have one value in any order.
 *
 * A fold adds lane l + half to lane l, half after half. Addition commutes to the bit, so that l and l + half may meet on
 * either side, and a circle of lanes may be folded from any starting point: rows that start off a 16-byte boundary
 * (packed_io.cuh) need no realignment. Lanes that do not exist hold +0.
 */
#pragma once

#include <stdint.h>

namespace isobit {

constexpr unsigned kWarp = 0xffffffffu;
constexpr int kLanes = 1024;

/* Max of a group of T neighbouring threads of a warp. A NaN is dropped. */
template <int T>
__device__ __forceinline__ float group_max(float x) {
#pragma unroll
    for (int half = T / 2; half > 0; half /= 2) x = fmaxf(x, __shfl_xor_sync(kWarp, x, half));
    return x;
}

template <int T, typename Integer>
__device__ __forceinline__ Integer group_sum(Integer x) {
#pragma unroll
    for (int half = T / 2; half > 0; half /= 2) x += __shfl_xor_sync(kWarp, x, half);
    return x;
}

__device__ __forceinline__ float add_lanes(float a, float b) { return __fadd_rn(a, b); }

/* The lanes of neighbouring elements: as many as one 128-bit access has. */
template <int P>
struct LanePack {
    float lane[P];
};

template <int P>
__device__ __forceinline__ LanePack<P> add_lanes(const LanePack<P>& a, const LanePack<P>& b) {
    LanePack<P> sum;
#pragma unroll
    for (int c = 0; c < P; c++) sum.lane[c] = __fadd_rn(a.lane[c], b.lane[c]);
    return sum;
}

/* Folds L lanes, or packs of lanes, that one thread makes: lane(i) is called once for each i, in an order that keeps few
 * of them waiting. */
template <int L, int kFirst = 0, int kStride = 1, typename Lane>
__device__ __forceinline__ auto fold_thread(Lane lane) {
    if constexpr (kStride == L) {
        return lane(kFirst);
    } else {
        auto even = fold_thread<L, kFirst, 2 * kStride>(lane);
        return add_lanes(even, fold_thread<L, kFirst + kStride, 2 * kStride>(lane));
    }
}

/* Folds P·T·Q lanes of a group of T >= 8 neighbouring threads; thread t makes lanes P·(t + T·s) + 0..P-1 as slot(s). All
 * threads get the sum. */
template <int T, int Q, int P, typename Slot>
__device__ __forceinline__ float fold_group(int thread, Slot slot) {
    LanePack<P> x = fold_thread<Q>(slot);
    /* P lanes a thread. The first halvings of the threads also deal these out, until each has one, so that fewer shuffles
     * do: the upper half of the threads keeps the upper components, the lower the lower ones, ... */
    int half = T / 2;
#pragma unroll
    for (int n = P / 2; n > 0; n /= 2) {
        const bool high = (thread & half) != 0;
#pragma unroll
        for (int c = 0; c < n; c++) {
            const float other = __shfl_xor_sync(kWarp, high ? x.lane[c] : x.lane[c + n], half);
            x.lane[c] = __fadd_rn(high ? x.lane[c + n] : x.lane[c], other);
        }
        half /= 2;
    }
    float sum = x.lane[0];
#pragma unroll
    for (; half > 0; half /= 2) sum = __fadd_rn(sum, __shfl_xor_sync(kWarp, sum, half));
    /* ... and the components are the lowest bits of the lane, so these come last. */
    half = T / 2;
#pragma unroll
    for (int n = P / 2; n > 0; n /= 2) {
        sum = __fadd_rn(sum, __shfl_xor_sync(kWarp, sum, half));
        half /= 2;
    }
    return sum;
}

/* One warp folds 1024 lanes in shared memory. All its threads get the sum. */
__device__ __forceinline__ float fold_shared(const float* lanes, int thread) {
    float x = fold_thread<kLanes / 32>([&](int i) { return lanes[32 * i + thread]; });
#pragma unroll
    for (int half = 16; half > 0; half /= 2) x = __fadd_rn(x, __shfl_xor_sync(kWarp, x, half));
    return x;
}

} // namespace isobit
