/*
 * Adam and AdamW over all tensors of a model in one launch, float32.
 *
 *   g  = maximize ? -g : g              g = g + grad_decay·p   (Adam with weight decay)
 *   m' = m + w1·(g - m)                 v' = v + w2·(g² - v)
 *   x' = max(x, v') with amsgrad, else v'
 *   p' = p·param_decay + neg_step_size·m' / (sqrt(x')·rsqrt_bc2 + eps)
 *
 * NUMERICS.md gives the order of the operations, each rounded once; the scalars of a step come from the host, and in them
 * alone the semantics of PyTorch, Keras, ONNX, ... differ. params.h: arguments, the table of chunks, groups, launch.
 * Every element is computed by itself, so that neither chunks nor grid nor alignment can change a bit.
 *
 * Memory moved: param, grad, exp_avg and exp_avg_sq read, all but grad written: 28 bytes an element, with amsgrad 36; and
 * 48 bytes a chunk. Aliasing: no two arrays overlap.
 */
#pragma once

#include "exact_math.cuh"
#include "packed_io.cuh"
#include "params.h"

namespace isobit {
namespace adam {

constexpr int kBlock = 256;
constexpr int kWarp = 32;

/* Updates one element; what comes out is what is stored. max_exp_avg_sq is looked at with amsgrad only. */
template <bool kAmsgrad>
__device__ __forceinline__ void update(const adam_group& s, float& param, float grad, float& exp_avg, float& exp_avg_sq,
                                       float& max_exp_avg_sq) {
    float g = (s.flags & ADAM_MAXIMIZE) != 0 ? -grad : grad;
    if ((s.flags & ADAM_GRAD_DECAY) != 0) g = __fmaf_rn(s.grad_decay, param, g);
    const float m = __fmaf_rn(s.w1, __fsub_rn(g, exp_avg), exp_avg);
    const float v = __fmaf_rn(s.w2, __fmaf_rn(g, g, -exp_avg_sq), exp_avg_sq);
    float x = v;
    if (kAmsgrad) {
        x = v > max_exp_avg_sq || v != v ? v : max_exp_avg_sq;
        max_exp_avg_sq = canonical(x);
    }
    const float decayed = __fmul_rn(param, s.param_decay);
    const float divisor = __fmaf_rn(__fsqrt_rn(x), s.rsqrt_bc2, s.eps);
    param = canonical(__fmaf_rn(s.neg_step_size, __fdiv_rn(m, divisor), decayed));
    exp_avg = canonical(m);
    exp_avg_sq = canonical(v);
}

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
template <bool kAmsgrad>
__device__ __forceinline__ void update_at(const adam_group& s, const adam_chunk& chunk, int i) {
    float param = load(chunk.param + i);
    float exp_avg = load(chunk.exp_avg + i);
    float exp_avg_sq = load(chunk.exp_avg_sq + i);
    float max_exp_avg_sq = kAmsgrad ? load(chunk.max_exp_avg_sq + i) : 0;
    update<kAmsgrad>(s, param, load(chunk.grad + i), exp_avg, exp_avg_sq, max_exp_avg_sq);
    store(chunk.param + i, param);
    store(chunk.exp_avg + i, exp_avg);
    store(chunk.exp_avg_sq + i, exp_avg_sq);
    if (kAmsgrad) store(chunk.max_exp_avg_sq + i, max_exp_avg_sq);
}

/* A warp works through a chunk whose arrays start at the same distance from a 16-byte boundary. */
template <bool kAmsgrad>
__device__ __forceinline__ void step_packed(const adam_group& s, const adam_chunk& chunk, int head, int lane) {
    if (head > chunk.count) head = chunk.count;
    const int whole = (chunk.count - head) / 4;
    float4* params = reinterpret_cast<float4*>(chunk.param + head);
    const float4* grads = reinterpret_cast<const float4*>(chunk.grad + head);
    float4* exp_avgs = reinterpret_cast<float4*>(chunk.exp_avg + head);
    float4* exp_avg_sqs = reinterpret_cast<float4*>(chunk.exp_avg_sq + head);
    float4* max_exp_avg_sqs = kAmsgrad ? reinterpret_cast<float4*>(chunk.max_exp_avg_sq + head) : nullptr;
    ISOBIT_MAIN_LOOP_BEGIN;
    for (int q = lane; q < whole; q += kWarp) {
        float4 p = load(params + q);
        const float4 g = load(grads + q);
        float4 m = load(exp_avgs + q);
        float4 v = load(exp_avg_sqs + q);
        float4 x = kAmsgrad ? load(max_exp_avg_sqs + q) : v;
        update<kAmsgrad>(s, p.x, g.x, m.x, v.x, x.x);
        update<kAmsgrad>(s, p.y, g.y, m.y, v.y, x.y);
        update<kAmsgrad>(s, p.z, g.z, m.z, v.z, x.z);
        update<kAmsgrad>(s, p.w, g.w, m.w, v.w, x.w);
        store(params + q, p);
        store(exp_avgs + q, m);
        store(exp_avg_sqs + q, v);
        if (kAmsgrad) store(max_exp_avg_sqs + q, x);
    }
    ISOBIT_MAIN_LOOP_END;
    const int tail = chunk.count - head - 4 * whole;
    if (lane < head + tail) update_at<kAmsgrad>(s, chunk, lane < head ? lane : 4 * whole + lane);
}

/* The same where the arrays start at different distances: neighbouring threads take neighbouring elements, which moves
 * whole sectors too, in four times as many accesses. */
template <bool kAmsgrad>
__device__ __forceinline__ void step_mixed(const adam_group& s, const adam_chunk& chunk, int lane) {
    constexpr int kBatch = 4;
    for (int i = lane; i < chunk.count; i += kWarp * kBatch) {
        float param[kBatch];
        float grad[kBatch];
        float exp_avg[kBatch];
        float exp_avg_sq[kBatch];
        float max_exp_avg_sq[kBatch];
#pragma unroll
        for (int b = 0; b < kBatch; b++) {
            /* Behind the end the first element again, which is not stored: all loads are on the way at once. */
            const int k = i + kWarp * b < chunk.count ? i + kWarp * b : i;
            param[b] = load(chunk.param + k);
            grad[b] = load(chunk.grad + k);
            exp_avg[b] = load(chunk.exp_avg + k);
            exp_avg_sq[b] = load(chunk.exp_avg_sq + k);
            max_exp_avg_sq[b] = kAmsgrad ? load(chunk.max_exp_avg_sq + k) : 0;
        }
#pragma unroll
        for (int b = 0; b < kBatch; b++) {
            const int k = i + kWarp * b;
            update<kAmsgrad>(s, param[b], grad[b], exp_avg[b], exp_avg_sq[b], max_exp_avg_sq[b]);
            if (k < chunk.count) {
                store(chunk.param + k, param[b]);
                store(chunk.exp_avg + k, exp_avg[b]);
                store(chunk.exp_avg_sq + k, exp_avg_sq[b]);
                if (kAmsgrad) store(chunk.max_exp_avg_sq + k, max_exp_avg_sq[b]);
            }
        }
    }
}

/* A warp takes every so manieth chunk, so that large and small tensors share the device evenly. */
template <bool kAmsgrad>
__device__ __forceinline__ void step(const adam_params& p) {
    const int lane = threadIdx.x & (kWarp - 1);
    const int64_t warps = static_cast<int64_t>(gridDim.x) * (kBlock / kWarp);
    int64_t c = static_cast<int64_t>(blockIdx.x) * (kBlock / kWarp) + threadIdx.x / kWarp;
    for (; c < p.chunk_count; c += warps) {
        const adam_chunk chunk = p.chunks[c];
        const adam_group group = p.groups[chunk.group];
        if ((group.flags & ADAM_DISABLED) != 0) continue;
        const int head = floats_to_boundary(chunk.param);
        if (floats_to_boundary(chunk.grad) == head && floats_to_boundary(chunk.exp_avg) == head &&
            floats_to_boundary(chunk.exp_avg_sq) == head &&
            (!kAmsgrad || floats_to_boundary(chunk.max_exp_avg_sq) == head)) {
            step_packed<kAmsgrad>(group, chunk, head, lane);
        } else {
            step_mixed<kAmsgrad>(group, chunk, lane);
        }
    }
}

} // namespace adam
} // namespace isobit
