/*
 * Adam and AdamW over all tensors of a model in one launch, float32.
 *
 *   g  = maximize ? -g : g              g = g + grad_decay·p   (Adam with weight decay)
 *   m' = m + w1·(g - m)                 v' = v + w2·(g² - v)
 *   x' = max(x, v') with amsgrad, else v'
 *   p' = p·param_decay + neg_step_size·m' / (sqrt(x')·rsqrt_bc2 + eps)
 *
 * NUMERICS.md gives the order of the operations, each rounded once; the scalars of a step come from the host, and in them
 * alone the semantics of PyTorch, Keras, ONNX, ... differ. adam_params.h: arguments, the table of chunks, groups, launch;
 * chunks.cuh: how elements are reached.
 *
 * Memory moved: param, grad, exp_avg and exp_avg_sq read, all but grad written: 28 bytes an element, with amsgrad 36; and
 * 48 bytes a chunk. Aliasing: no two arrays overlap.
 */
#pragma once

#include "adam_params.h"
#include "chunks.cuh"
#include "exact_math.cuh"
#include "guard_whole.cuh"
#include "schedule.cuh"

namespace isobit {
namespace adam {

template <bool kAmsgrad>
struct Update {
    using Group = adam_group;
    static constexpr int kArrays = kAmsgrad ? 5 : 4;

    static __device__ __forceinline__ bool writes_grad(const adam_group&) { return false; }

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

/* Calls step(update, arrays) for the arrays of a chunk. */
template <bool kAmsgrad, typename Step>
__device__ __forceinline__ void with_arrays(const adam_chunk& chunk, Step step) {
    float* grad = const_cast<float*>(chunk.grad);
    if constexpr (kAmsgrad) {
        float* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq, chunk.max_exp_avg_sq};
        step(Update<true>(), arrays);
    } else {
        float* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq};
        step(Update<false>(), arrays);
    }
}

template <bool kAmsgrad>
__device__ __forceinline__ void step(const adam_params& p) {
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const adam_chunk chunk = p.chunks[c];
        const adam_group group = p.groups[chunk.group];
        if ((group.flags & ADAM_DISABLED) != 0) continue;
        with_arrays<kAmsgrad>(chunk, [&](auto update, auto& arrays) {
            chunks::step_chunk<decltype(update)>(group, arrays, chunk.count, chunks::lane());
        });
    }
}

template <bool kAmsgrad>
__device__ __forceinline__ void step_guarded(const adam_guarded_params& p) {
    const guard_state state = *p.guard.state;
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const adam_chunk chunk = p.chunks[c];
        const adam_group group = p.groups[chunk.group];
        if ((group.flags & ADAM_DISABLED) != 0) continue;
        with_arrays<kAmsgrad>(chunk, [&](auto update, auto& arrays) {
            guard::step_chunk<decltype(update)>(p.guard, state, group, arrays, chunk.count);
        });
    }
}

/* What a moment that starts at 0 has to be divided by. */
__device__ __forceinline__ double correction(float weight, int64_t step, bool onnx) {
    if (onnx) step--;
    return onnx && step == 0 ? 1.0 : __dsub_rn(1.0, schedule::power(__dsub_rn(1.0, static_cast<double>(weight)), step));
}

/* The scalars of a step, as the host computes them for one that is not guarded: dev.isobit.spi.AdamScalars. */
__device__ __forceinline__ adam_group scalars(const adam_setting& s, double lr, int64_t step) {
    const bool onnx = (s.flags & ADAM_ONNX) != 0;
    const bool epsilon_hat = (s.flags & ADAM_EPSILON_HAT) != 0;
    const double bc1 = correction(s.w1, step, onnx);
    const double root = __dsqrt_rn(correction(s.w2, step, onnx));
    double step_size = __ddiv_rn(epsilon_hat ? __dmul_rn(lr, root) : lr, bc1);
    adam_group group;
    group.w1 = s.w1;
    group.w2 = s.w2;
    group.rsqrt_bc2 = epsilon_hat ? 1.0f : __double2float_rn(__ddiv_rn(1.0, root));
    group.eps = s.eps;
    group.param_decay = 1.0f;
    group.grad_decay = s.grad_decay;
    group.flags = s.flags & (ADAM_MAXIMIZE | ADAM_GRAD_DECAY);
    if ((s.flags & ADAM_PARAM_DECAY) != 0) {
        const double left = __dsub_rn(1.0, onnx ? s.weight_decay : __dmul_rn(lr, s.weight_decay));
        group.param_decay = __double2float_rn(left);
        if ((s.flags & ADAM_DECAY_AFTER) != 0) step_size = __dmul_rn(step_size, left);
    }
    group.neg_step_size = -__double2float_rn(step_size);
    return group;
}

/* One block: whether the step is done, and its scalars. */
__device__ __forceinline__ void begin(const adam_guarded_params& p, double (&lanes)[kLanes], bool& shared_skips) {
    const bool skips = guard::decide(p.guard, lanes, shared_skips);
    for (int64_t g = threadIdx.x; g < p.guard.group_count; g += guard::kBlock) {
        const guard_control control = p.guard.controls[g];
        if (control.disabled != 0) {
            p.groups[g].flags = ADAM_DISABLED;
        } else if (skips) {
            p.groups[g].flags = 0;
        } else {
            const int64_t step = ++p.guard.steps[g];
            p.groups[g] = scalars(p.settings[g], guard::scheduled_lr(p.guard, g, control.lr, step), step);
        }
    }
}

template <bool kAmsgrad>
__device__ __forceinline__ void whole_step(const adam_guarded_params& p) {
    guard::whole_step<false>(
        p.guard, [&](auto& lanes, bool& skips) { begin(p, lanes, skips); }, [&] { step_guarded<kAmsgrad>(p); });
}

} // namespace adam
} // namespace isobit
