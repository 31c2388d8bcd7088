/*
 * What comes before a guarded step, in float32 and, where a few numbers are left, float64:
 *
 *   norm   = sqrt(sum of grad²) / (grad_scale·grad_divisor)        over all parameters of enabled groups
 *   skip   = norm is not finite
 *   factor = float(min(1, max_norm / (norm + 1e-6)) / (grad_scale·grad_divisor))
 *   grad   = factor·grad, then within ±clip_value     in the step itself
 *
 * and the loss scale's growth and backoff. NUMERICS.md gives the order of the sum: a row of lanes and segments, the
 * segments' sums joined by lanes in float64. guard_params.h: arguments, the tables, launches.
 *
 * Memory moved: 4 bytes an element, of 16 bits 2, read; 24 bytes for each 1024, or for each tensor or part of one that is shorter.
 */
#pragma once

#include "chunks.cuh"
#include "guard_params.h"
#include "lanes.cuh"
#include "schedule.cuh"

namespace isobit {
namespace guard {

constexpr int kBlock = 256;
constexpr int kBlockWarps = kBlock / 32;
constexpr int kSegment = GUARD_SEGMENT;

/* One block writes what the host has changed. */
__device__ __forceinline__ void set(const guard_set_params& p) {
    for (int64_t r = 0; r < p.count; r++) {
        const guard_run& run = p.runs[r];
#pragma unroll 1
        for (int64_t g = threadIdx.x; g < run.count; g += kBlock) p.controls[run.first + g] = run.control;
    }
}

/* A warp writes the squares of a piece; of one whose gradient is not looked at, zeros. */
__device__ __forceinline__ void square_piece(bool looks, const guard_piece& piece, float* squares, int thread) {
    int head = floats_to_boundary(piece.grad);
    if (head > piece.count) head = piece.count;
    const int whole = (piece.count - head) / 4;
    const float4* grads = reinterpret_cast<const float4*>(piece.grad + head);
    ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 4
    for (int q = thread; q < whole; q += 32) {
        const float4 g = looks ? chunks::load(grads + q) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        float* to = squares + head + 4 * q;
        to[0] = __fmul_rn(g.x, g.x);
        to[1] = __fmul_rn(g.y, g.y);
        to[2] = __fmul_rn(g.z, g.z);
        to[3] = __fmul_rn(g.w, g.w);
    }
    ISOBIT_MAIN_LOOP_END;
    const int tail = piece.count - head - 4 * whole;
    if (thread < head + tail) {
        const int i = thread < head ? thread : 4 * whole + thread;
        const float g = looks ? chunks::load(piece.grad + i) : 0.0f;
        squares[i] = __fmul_rn(g, g);
    }
}

/* The same of a gradient of 16 bits. */
template <typename D>
__device__ __forceinline__ void square_narrow_piece(bool looks, const guard_piece& piece, float* squares, int thread) {
    const uint16_t* grad = reinterpret_cast<const uint16_t*>(piece.grad);
    int head = elements_to_boundary<D>(grad);
    if (head > piece.count) head = piece.count;
    const int whole = (piece.count - head) / D::kPack;
    const uint4* grads = reinterpret_cast<const uint4*>(grad + head);
    ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 2
    for (int q = thread; q < whole; q += 32) {
        const uint4 g = looks ? chunks::load(grads + q) : make_uint4(0, 0, 0, 0);
        const uint32_t words[4] = {g.x, g.y, g.z, g.w};
        float* to = squares + head + D::kPack * q;
#pragma unroll
        for (int w = 0; w < 4; w++) {
            const float lower = D::widen(static_cast<uint16_t>(words[w]));
            const float upper = D::widen_upper(words[w]);
            to[2 * w] = __fmul_rn(lower, lower);
            to[2 * w + 1] = __fmul_rn(upper, upper);
        }
    }
    ISOBIT_MAIN_LOOP_END;
    const int tail = piece.count - head - D::kPack * whole;
    if (thread < head + tail) {
        const int i = thread < head ? thread : D::kPack * whole + thread;
        const float g = looks ? D::widen(chunks::load(grad + i)) : 0.0f;
        squares[i] = __fmul_rn(g, g);
    }
}

/* Sums the squares of every segment. Its pieces are shared out to the warps, which leave the squares where the lanes of
 * the definition find them: tensors may be small and start anywhere. */
template <bool kMixed>
__device__ __forceinline__ void square(const guard_params& p, float (&squares)[kSegment]) {
    const int warp = threadIdx.x / 32;
    const int thread = threadIdx.x & 31;
    for (int64_t segment = blockIdx.x; segment < p.segments; segment += gridDim.x) {
        const int64_t end = p.first_pieces[segment + 1];
        for (int64_t j = p.first_pieces[segment] + warp; j < end; j += kBlockWarps) {
            const guard_piece piece = p.pieces[j];
            const bool looks = p.controls[piece.group].disabled == 0;
            if (!kMixed || piece.dtype == DTYPE_F32) {
                square_piece(looks, piece, squares + piece.position, thread);
            } else if (piece.dtype == DTYPE_BF16) {
                square_narrow_piece<Bf16>(looks, piece, squares + piece.position, thread);
            } else {
                square_narrow_piece<F16>(looks, piece, squares + piece.position, thread);
            }
        }
        __syncthreads();
        const guard_piece last = p.pieces[end - 1];
        const int length = last.position + last.count;
#pragma unroll
        for (int c = 0; c < kLanes / kBlock; c++) {
            const int lane = threadIdx.x + kBlock * c;
            float sum = 0.0f;
#pragma unroll
            for (int i = lane; i < kSegment; i += kLanes) {
                if (i < length) sum = __fadd_rn(sum, squares[i]);
            }
            /* Only this thread has read what stood there. */
            squares[lane] = sum;
        }
        __syncthreads();
        if (warp == 0) {
            const float folded = fold_shared(squares, thread);
            if (thread == 0) p.parts[segment] = folded;
        }
        __syncthreads();
    }
}

/* Leaves the sum of the segments' sums in lanes[0], for thread 0. */
__device__ __forceinline__ void join(const guard_params& p, double (&lanes)[kLanes]) {
#pragma unroll
    for (int c = 0; c < kLanes / kBlock; c++) {
        double sum = 0.0;
        for (int64_t j = threadIdx.x + kBlock * c; j < p.segments; j += kLanes) {
            sum = __dadd_rn(sum, static_cast<double>(p.parts[j]));
        }
        lanes[threadIdx.x + kBlock * c] = sum;
    }
#pragma unroll 1
    for (int half = kLanes / 2; half > 0; half /= 2) {
        __syncthreads();
        for (int i = threadIdx.x; i < half; i += kBlock) lanes[i] = __dadd_rn(lanes[i], lanes[i + half]);
    }
}

/* The scale times a factor, unless that is no normal number. */
__device__ __forceinline__ float rescaled(float scale, float factor) {
    const float next = __fmul_rn(scale, factor);
    const uint32_t exponent = __float_as_uint(next) >> 23;
    return exponent > 0 && exponent < 255 ? next : scale;
}

/* One block decides about the step. All threads learn whether it is skipped. */
__device__ __forceinline__ bool decide(const guard_params& p, double (&lanes)[kLanes], bool& skips) {
    const bool checks = (p.flags & GUARD_CHECK) != 0;
    if (checks) join(p, lanes);
    if (threadIdx.x == 0) {
        guard_state state = *p.state;
        const double divisor =
            __dmul_rn(static_cast<double>(state.grad_scale), static_cast<double>(p.controls[0].grad_divisor));
        double clip = 1.0;
        skips = false;
        if (checks) {
            state.grad_norm = __ddiv_rn(__dsqrt_rn(lanes[0]), divisor);
            skips = !(state.grad_norm <= 1.7976931348623157e308);
            const double coefficient = __ddiv_rn(p.max_norm, __dadd_rn(state.grad_norm, 1e-6));
            if (coefficient < 1.0) clip = coefficient;
        }
        state.grad_factor = __double2float_rn(__ddiv_rn(clip, divisor));
        state.found_inf = skips ? 1 : 0;
        if (skips) state.skipped_steps++;
        if ((p.flags & GUARD_SCALING) != 0) {
            if (skips) {
                state.grad_scale = rescaled(state.grad_scale, p.backoff_factor);
                state.growth_tracker = 0;
            } else if (++state.growth_tracker == p.growth_interval) {
                state.grad_scale = rescaled(state.grad_scale, p.growth_factor);
                state.growth_tracker = 0;
            }
        }
        *p.state = state;
    }
    __syncthreads();
    return skips;
}

/* The learning rate of a group's step, from 1. */
__device__ __forceinline__ double scheduled_lr(const guard_params& p, int64_t group, double lr, int64_t step) {
    return __dmul_rn(lr, schedule::factor(p.schedules[group], step));
}

/* An update of chunks.cuh whose gradient is scaled and clipped first. */
template <typename Op>
struct Guarded {
    struct Group {
        typename Op::Group own;
        float factor;
        float clip_value;
        bool zeroes;
    };
    static constexpr int kArrays = Op::kArrays;

    static __device__ __forceinline__ bool writes_grad(const Group& group) { return group.zeroes; }

    static __device__ __forceinline__ void update(const Group& group, float (&x)[kArrays]) {
        float g = __fmul_rn(x[chunks::kGrad], group.factor);
        if (g > group.clip_value) g = group.clip_value;
        if (g < -group.clip_value) g = -group.clip_value;
        x[chunks::kGrad] = g;
        Op::update(group.own, x);
        x[chunks::kGrad] = 0.0f;
    }
};

/* A warp updates a chunk, or leaves it as it is. */
template <typename Op>
__device__ __forceinline__ void step_chunk(const guard_params& p, const guard_state& state,
                                           const typename Op::Group& own, float* const (&arrays)[Op::kArrays],
                                           int count) {
    const bool zeroes = (p.flags & GUARD_ZERO_GRAD) != 0;
    if (state.found_inf == 0) {
        const typename Guarded<Op>::Group group = {own, state.grad_factor, p.clip_value, zeroes};
        chunks::step_chunk<Guarded<Op>>(group, arrays, count, chunks::lane());
    } else if (zeroes) {
        fill<F32, chunks::kWarp>(arrays[chunks::kGrad], count, 0.0f, chunks::lane());
    }
}

} // namespace guard
} // namespace isobit
