/*
 * Adam and AdamW over all tensors of a model in one launch, float32.
 *
 *   g  = maximize ? -g : g              g = g + grad_decay·p   (Adam with weight decay)
 *   m' = m + w1·(g - m)                 v' = v + w2·(g² - v)
 *   x' = max(x, v') with amsgrad, else v'
 *   p' = p·param_decay + neg_step_size·m' / (sqrt(x')·rsqrt_bc2 + eps)
 *
 * NUMERICS.md gives the order of the operations, each rounded once; the scalars of a step come from the host, and in them
 * alone the semantics of PyTorch, Keras, ONNX, ... differ. params.h: arguments, the table of chunks, groups, launch;
 * chunks.cuh: how elements are reached.
 *
 * Memory moved: param, grad, exp_avg and exp_avg_sq read, all but grad written: 28 bytes an element, with amsgrad 36; and
 * 48 bytes a chunk. Aliasing: no two arrays overlap.
 */
#pragma once

#include "chunks.cuh"
#include "exact_math.cuh"
#include "params.h"

namespace isobit {
namespace adam {

template <bool kAmsgrad>
struct Update {
    using Group = adam_group;
    static constexpr int kArrays = kAmsgrad ? 5 : 4;

    static __device__ __forceinline__ void update(const adam_group& s, float (&x)[kArrays]) {
        const float param = x[0];
        float g = (s.flags & ADAM_MAXIMIZE) != 0 ? -x[1] : x[1];
        if ((s.flags & ADAM_GRAD_DECAY) != 0) g = __fmaf_rn(s.grad_decay, param, g);
        const float m = __fmaf_rn(s.w1, __fsub_rn(g, x[2]), x[2]);
        const float v = __fmaf_rn(s.w2, __fmaf_rn(g, g, -x[3]), x[3]);
        float largest = v;
        if constexpr (kAmsgrad) {
            largest = v > x[4] || v != v ? v : x[4];
            x[4] = canonical(largest);
        }
        const float decayed = __fmul_rn(param, s.param_decay);
        const float divisor = __fmaf_rn(__fsqrt_rn(largest), s.rsqrt_bc2, s.eps);
        x[0] = canonical(__fmaf_rn(s.neg_step_size, __fdiv_rn(m, divisor), decayed));
        x[2] = canonical(m);
        x[3] = canonical(v);
    }
};

template <bool kAmsgrad>
__device__ __forceinline__ void step(const adam_params& p) {
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const adam_chunk chunk = p.chunks[c];
        const adam_group group = p.groups[chunk.group];
        if ((group.flags & ADAM_DISABLED) != 0) continue;
        float* grad = const_cast<float*>(chunk.grad);
        if constexpr (kAmsgrad) {
            float* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq, chunk.max_exp_avg_sq};
            chunks::step_chunk<Update<true>>(group, arrays, chunk.count, chunks::lane());
        } else {
            float* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq};
            chunks::step_chunk<Update<false>>(group, arrays, chunk.count, chunks::lane());
        }
    }
}

} // namespace adam
} // namespace isobit
