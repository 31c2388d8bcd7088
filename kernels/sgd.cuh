/*
 * SGD over all tensors of a model in one launch, float32, as PyTorch defines it.
 *
 *   g  = maximize ? -g : g              g = g + weight_decay·p
 *   b' = first step ? g : momentum·b + grad_share·g        only where there is a momentum buffer
 *   u  = nesterov ? g + momentum·b' : b'                   without a buffer: u = g
 *   p' = p + neg_lr·u
 *
 * NUMERICS.md gives the order of the operations, each rounded once. sgd_params.h: arguments, the table of chunks, groups,
 * launch; chunks.cuh: how elements are reached.
 *
 * Memory moved: param, grad and momentum_buffer read, all but grad written: 20 bytes an element, without momentum 12; and
 * 32 bytes a chunk. In the first step the buffer is read and not used. Aliasing: no two arrays overlap.
 */
#pragma once

#include "chunks.cuh"
#include "exact_math.cuh"
#include "guard_whole.cuh"
#include "sgd_params.h"

namespace isobit {
namespace sgd {

template <bool kMomentum>
struct Update {
    using Group = sgd_group;
    static constexpr int kArrays = kMomentum ? 3 : 2;

    static __device__ __forceinline__ bool writes_grad(const sgd_group&) { return false; }

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

/* Calls step(update, arrays) for the arrays of a chunk. */
template <typename Step>
__device__ __forceinline__ void with_arrays(const sgd_chunk& chunk, Step step) {
    float* grad = const_cast<float*>(chunk.grad);
    if (chunk.momentum_buffer != nullptr) {
        float* arrays[] = {chunk.param, grad, chunk.momentum_buffer};
        step(Update<true>(), arrays);
    } else {
        float* arrays[] = {chunk.param, grad};
        step(Update<false>(), arrays);
    }
}

__device__ __forceinline__ void step(const sgd_params& p) {
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const sgd_chunk chunk = p.chunks[c];
        const sgd_group group = p.groups[chunk.group];
        if ((group.flags & SGD_DISABLED) != 0) continue;
        with_arrays(chunk, [&](auto update, auto& arrays) {
            chunks::step_chunk<decltype(update)>(group, arrays, chunk.count, chunks::lane());
        });
    }
}

__device__ __forceinline__ void step_guarded(const sgd_guarded_params& p) {
    const guard_state state = *p.guard.state;
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const sgd_chunk chunk = p.chunks[c];
        const sgd_group group = p.groups[chunk.group];
        if ((group.flags & SGD_DISABLED) != 0) continue;
        with_arrays(chunk, [&](auto update, auto& arrays) {
            guard::step_chunk<decltype(update)>(p.guard, state, group, arrays, chunk.count);
        });
    }
}

/* One block: whether the step is done, and its scalars. */
__device__ __forceinline__ void begin(const sgd_guarded_params& p, double (&lanes)[kLanes], bool& shared_skips) {
    const bool skips = guard::decide(p.guard, lanes, shared_skips);
    for (int64_t g = threadIdx.x; g < p.guard.group_count; g += guard::kBlock) {
        const guard_control control = p.guard.controls[g];
        sgd_group group = p.settings[g];
        group.flags &= SGD_MAXIMIZE | SGD_WEIGHT_DECAY | SGD_NESTEROV;
        if (control.disabled != 0) {
            group.flags = SGD_DISABLED;
        } else if (!skips) {
            const int64_t step = ++p.guard.steps[g];
            group.neg_lr = -__double2float_rn(guard::scheduled_lr(p.guard, g, control.lr, step));
            if (step == 1) group.flags |= SGD_FIRST;
        }
        p.groups[g] = group;
    }
}

__device__ __forceinline__ void whole_step(const sgd_guarded_params& p) {
    guard::whole_step<false>(
        p.guard, [&](auto& lanes, bool& skips) { begin(p, lanes, skips); }, [&] { step_guarded(p); });
}

} // namespace sgd
} // namespace isobit
