/*
 * SGD over all tensors of a model in one launch, float32, as PyTorch defines it.
 *
 *   g  = maximize ? -g : g              g = g + weight_decay·p
 *   b' = first step ? g : momentum·b + grad_share·g        only where there is a momentum buffer
 *   u  = nesterov ? g + momentum·b' : b'                   without a buffer: u = g
 *   p' = p + neg_lr·u
 *
 * NUMERICS.md gives the order of the operations, each rounded once. params.h: arguments, the table of chunks, groups,
 * launch; chunks.cuh: how elements are reached.
 *
 * Memory moved: param, grad and momentum_buffer read, all but grad written: 20 bytes an element, without momentum 12; and
 * 32 bytes a chunk. In the first step the buffer is read and not used. Aliasing: no two arrays overlap.
 */
#pragma once

#include "chunks.cuh"
#include "exact_math.cuh"
#include "params.h"

namespace isobit {
namespace sgd {

template <bool kMomentum>
struct Update {
    using Group = sgd_group;
    static constexpr int kArrays = kMomentum ? 3 : 2;

    static __device__ __forceinline__ void update(const sgd_group& s, float (&x)[kArrays]) {
        const float param = x[0];
        float g = (s.flags & SGD_MAXIMIZE) != 0 ? -x[1] : x[1];
        if ((s.flags & SGD_WEIGHT_DECAY) != 0) g = __fmaf_rn(s.weight_decay, param, g);
        float u = g;
        if constexpr (kMomentum) {
            const bool first = (s.flags & SGD_FIRST) != 0;
            const float b = first ? g : __fmaf_rn(s.momentum, x[2], __fmul_rn(s.grad_share, g));
            u = (s.flags & SGD_NESTEROV) != 0 ? __fmaf_rn(s.momentum, b, g) : b;
            x[2] = canonical(b);
        }
        x[0] = canonical(__fmaf_rn(s.neg_lr, u, param));
    }
};

__device__ __forceinline__ void step(const sgd_params& p) {
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const sgd_chunk chunk = p.chunks[c];
        const sgd_group group = p.groups[chunk.group];
        if ((group.flags & SGD_DISABLED) != 0) continue;
        float* grad = const_cast<float*>(chunk.grad);
        if (chunk.momentum_buffer != nullptr) {
            float* arrays[] = {chunk.param, grad, chunk.momentum_buffer};
            chunks::step_chunk<Update<true>>(group, arrays, chunk.count, chunks::lane());
        } else {
            float* arrays[] = {chunk.param, grad};
            chunks::step_chunk<Update<false>>(group, arrays, chunk.count, chunks::lane());
        }
    }
}

} // namespace sgd
} // namespace isobit
