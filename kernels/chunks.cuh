/*
 * How an optimizer's update goes over the tensors of a model in one launch: a warp takes a chunk at a time, whose arrays
 * are read, updated element by element, and written back, as a rule all but the gradient. An update is a class
 *
 *   Group               what a step does to the parameters of a group; has flags
 *   kArrays             how many arrays a chunk has; the first is the parameter, the second the gradient
 *   update(group, x)    x[a], an element of each array: what comes out is what is stored
 *   writes_grad(group)  whether the gradient is stored too
 *
 * Every element is computed by itself, so that neither chunks nor grid nor alignment can change a bit.
 */
#pragma once

#include "packed_io.cuh"

namespace isobit {
namespace chunks {

constexpr int kBlock = 256;
constexpr int kWarp = 32;
constexpr int kGrad = 1; /* the array of the gradient */

/* Pointers from a table may point anywhere as far as a compiler can tell; these say that it is global memory. */
template <typename T>
__device__ __forceinline__ T load(const T* p) {
    return __ldca(p);
}

template <typename T>
__device__ __forceinline__ void store(T* p, T value) {
    __stwb(p, value);
}

/* One element at a time: heads, tails. */
template <typename Op>
__device__ __forceinline__ void update_at(const typename Op::Group& group, float* const (&arrays)[Op::kArrays], int i) {
    float x[Op::kArrays];
#pragma unroll
    for (int a = 0; a < Op::kArrays; a++) x[a] = load(arrays[a] + i);
    Op::update(group, x);
#pragma unroll
    for (int a = 0; a < Op::kArrays; a++) {
        if (a != kGrad || Op::writes_grad(group)) store(arrays[a] + i, x[a]);
    }
}

/* A warp works through arrays that start at the same distance from a 16-byte boundary. */
template <typename Op>
__device__ __forceinline__ void step_packed(const typename Op::Group& group, float* const (&arrays)[Op::kArrays],
                                            int count, int head, int lane) {
    if (head > count) head = count;
    const int whole = (count - head) / 4;
    ISOBIT_MAIN_LOOP_BEGIN;
    for (int q = lane; q < whole; q += kWarp) {
        float x[4][Op::kArrays];
#pragma unroll
        for (int a = 0; a < Op::kArrays; a++) {
            const float4 v = load(reinterpret_cast<const float4*>(arrays[a] + head) + q);
            x[0][a] = v.x;
            x[1][a] = v.y;
            x[2][a] = v.z;
            x[3][a] = v.w;
        }
#pragma unroll
        for (int c = 0; c < 4; c++) Op::update(group, x[c]);
#pragma unroll
        for (int a = 0; a < Op::kArrays; a++) {
            if (a != kGrad || Op::writes_grad(group)) {
                store(reinterpret_cast<float4*>(arrays[a] + head) + q, make_float4(x[0][a], x[1][a], x[2][a], x[3][a]));
            }
        }
    }
    ISOBIT_MAIN_LOOP_END;
    const int tail = count - head - 4 * whole;
    if (lane < head + tail) update_at<Op>(group, arrays, lane < head ? lane : 4 * whole + lane);
}

/* The same where the arrays start at different distances: neighbouring threads take neighbouring elements, which moves
 * whole sectors too, in four times as many accesses. */
template <typename Op>
__device__ __forceinline__ void step_mixed(const typename Op::Group& group, float* const (&arrays)[Op::kArrays],
                                           int count, int lane) {
    constexpr int kBatch = 4;
    for (int i = lane; i < count; i += kWarp * kBatch) {
        float x[kBatch][Op::kArrays];
#pragma unroll
        for (int b = 0; b < kBatch; b++) {
            /* Behind the end the first element again, which is not stored: all loads are on the way at once. */
            const int k = i + kWarp * b < count ? i + kWarp * b : i;
#pragma unroll
            for (int a = 0; a < Op::kArrays; a++) x[b][a] = load(arrays[a] + k);
        }
#pragma unroll
        for (int b = 0; b < kBatch; b++) {
            Op::update(group, x[b]);
            if (i + kWarp * b < count) {
#pragma unroll
                for (int a = 0; a < Op::kArrays; a++) {
                    if (a != kGrad || Op::writes_grad(group)) store(arrays[a] + i + kWarp * b, x[b][a]);
                }
            }
        }
    }
}

/* A warp updates a chunk. */
template <typename Op>
__device__ __forceinline__ void step_chunk(const typename Op::Group& group, float* const (&arrays)[Op::kArrays],
                                           int count, int lane) {
    const int head = floats_to_boundary(arrays[0]);
    bool packed = true;
#pragma unroll
    for (int a = 1; a < Op::kArrays; a++) packed = packed && floats_to_boundary(arrays[a]) == head;
    if (packed) {
        step_packed<Op>(group, arrays, count, head, lane);
    } else {
        step_mixed<Op>(group, arrays, count, lane);
    }
}

__device__ __forceinline__ int lane() { return threadIdx.x & (kWarp - 1); }

/* A warp takes every so manieth chunk, so that large and small tensors share the device evenly. */
__device__ __forceinline__ int64_t first_chunk() {
    return static_cast<int64_t>(blockIdx.x) * (kBlock / kWarp) + threadIdx.x / kWarp;
}

__device__ __forceinline__ int64_t chunk_stride() { return static_cast<int64_t>(gridDim.x) * (kBlock / kWarp); }

} // namespace chunks
} // namespace isobit
