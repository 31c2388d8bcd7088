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

__device__ __forceinline__ float4 add_lanes(float4 a, float4 b) {
    return make_float4(__fadd_rn(a.x, b.x), __fadd_rn(a.y, b.y), __fadd_rn(a.z, b.z), __fadd_rn(a.w, b.w));
}

/* Folds L lanes, or quads of lanes, that one thread makes: lane(i) is called once for each i, in an order that keeps few
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

/* Folds 4·T·Q lanes of a group of T >= 8 neighbouring threads; thread t makes lanes 4·(t + T·s) + 0..3 as slot(s). All
 * threads get the sum. */
template <int T, int Q, typename Slot>
__device__ __forceinline__ float fold_group(int thread, Slot slot) {
    const float4 lane = fold_thread<Q>(slot);
    /* Four lanes a thread. The first two halvings of the threads also deal these out, two and then one to each, so that
     * 8 shuffles do instead of 20: the upper half of the threads keeps components 2 and 3, the lower 0 and 1, ... */
    bool high = (thread & (T / 2)) != 0;
    float x0 = __fadd_rn(high ? lane.z : lane.x, __shfl_xor_sync(kWarp, high ? lane.x : lane.z, T / 2));
    float x1 = __fadd_rn(high ? lane.w : lane.y, __shfl_xor_sync(kWarp, high ? lane.y : lane.w, T / 2));
    bool odd = (thread & (T / 4)) != 0;
    float x = __fadd_rn(odd ? x1 : x0, __shfl_xor_sync(kWarp, odd ? x0 : x1, T / 4));
#pragma unroll
    for (int half = T / 8; half > 0; half /= 2) x = __fadd_rn(x, __shfl_xor_sync(kWarp, x, half));
    /* ... and the components are the lowest bits of the lane, so these two come last. */
    x = __fadd_rn(x, __shfl_xor_sync(kWarp, x, T / 2));
    return __fadd_rn(x, __shfl_xor_sync(kWarp, x, T / 4));
}

/* One warp folds 1024 lanes in shared memory. All its threads get the sum. */
__device__ __forceinline__ float fold_shared(const float* lanes, int thread) {
    float x = fold_thread<kLanes / 32>([&](int i) { return lanes[32 * i + thread]; });
#pragma unroll
    for (int half = 16; half > 0; half /= 2) x = __fadd_rn(x, __shfl_xor_sync(kWarp, x, half));
    return x;
}

} // namespace isobit
