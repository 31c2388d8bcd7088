/*
 * Negative log-likelihood of class indices from log-probabilities [outer, classes, inner]. These and their gradient (type
 * D) float32, BF16 or F16; the rest float32.
 *
 *   row loss   = w_t·(0 - lp_t)            0·inf is 0
 *   gradient_t = 0 - a·w_t, else 0         a = upstream (/ sum of w_t over the rows that count, with MEAN)
 *
 * NUMERICS.md gives the order of every operation; nll_loss_params.h the arguments, launches and who writes what.
 *
 * Memory moved: targets read, with MEAN twice, one log-probability a row read, the gradient written once.
 *
 * Aliasing: grad_log_probabilities may be log_probabilities. What a block reads of its rows comes before a barrier, what
 * it writes behind it.
 */
#pragma once

#include "exact_math.cuh"
#include "lanes.cuh"
#include "mean.cuh"
#include "nll_loss_params.h"
#include "packed_io.cuh"
#include "status.cuh"

namespace isobit {
namespace nll_loss {

constexpr int kBlock = 256;
constexpr int kSegment = NLL_LOSS_SEGMENT;
constexpr int kSlots = kSegment / kLanes;

__device__ __forceinline__ int64_t rows_of(const nll_loss_params& p) { return p.outer * p.inner; }

__device__ __forceinline__ int64_t segments_of(const nll_loss_params& p) {
    return (rows_of(p) + kSegment - 1) / kSegment;
}

__device__ __forceinline__ int64_t target_of(const nll_loss_params& p, int64_t row) {
    if ((p.flags & NLL_LOSS_TARGETS_I32) != 0) return static_cast<const int32_t*>(p.targets)[row];
    if ((p.flags & NLL_LOSS_TARGETS_I16) != 0) return static_cast<const int16_t*>(p.targets)[row];
    if ((p.flags & NLL_LOSS_TARGETS_U8) != 0) return static_cast<const uint8_t*>(p.targets)[row];
    return static_cast<const int64_t*>(p.targets)[row];
}

__device__ __forceinline__ bool is_class(const nll_loss_params& p, int64_t target) {
    return target >= 0 && target < p.classes;
}

__device__ __forceinline__ bool is_live(const nll_loss_params& p, int64_t target) {
    return target != p.ignore_index && is_class(p, target);
}

__device__ __forceinline__ float weight_of(const nll_loss_params& p, int64_t target) {
    return p.class_weights == nullptr ? 1.0f : p.class_weights[target];
}

/* Sums segments of rows, each thread four lanes, in shared memory; value(row) is what a row adds. */
template <typename Value>
__device__ __forceinline__ void sum_segments(const nll_loss_params& p, float* parts, float* lanes, Value value) {
    for (int64_t j = blockIdx.x; j < segments_of(p); j += gridDim.x) {
        const int64_t first = j * kSegment;
        const int64_t end = min(first + kSegment, rows_of(p));
#pragma unroll
        for (int c = 0; c < kLanes / kBlock; c++) {
            const int lane = kBlock * c + threadIdx.x;
            float sum = 0.0f;
#pragma unroll
            for (int s = 0; s < kSlots; s++) {
                const int64_t row = first + kLanes * s + lane;
                if (row < end) sum = __fadd_rn(sum, value(row));
            }
            lanes[lane] = sum;
        }
        __syncthreads();
        if (threadIdx.x < 32) {
            const float sum = fold_shared(lanes, threadIdx.x);
            if (threadIdx.x == 0) parts[j] = sum;
        }
        __syncthreads();
    }
}

/* The sums of all segments in rising order. Past the first-level cache, which does not see what other blocks wrote. */
__device__ __forceinline__ double join(const nll_loss_params& p, const float* parts) {
    double total = 0.0;
#pragma unroll 8
    for (int64_t j = 0; j < segments_of(p); j++) total = __dadd_rn(total, static_cast<double>(__ldcg(parts + j)));
    return total;
}

__device__ __forceinline__ double denominator_of(const nll_loss_params& p) {
    return (p.flags & NLL_LOSS_MEAN) != 0 ? nan_for_zero(join(p, p.weight_parts)) : 1.0;
}

__device__ __forceinline__ void weigh(const nll_loss_params& p) {
    __shared__ __align__(16) float lanes[kLanes];
    sum_segments(p, p.weight_parts, lanes, [&](int64_t row) {
        const int64_t target = target_of(p, row);
        return is_live(p, target) ? weight_of(p, target) : 0.0f;
    });
}

/* Rows are dealt out in chunks: a thread computes one, all write its gradient. */
template <typename D>
__device__ __forceinline__ void rows(const nll_loss_params& p) {
    const typename D::Stored* log_probabilities = static_cast<const typename D::Stored*>(p.log_probabilities);
    typename D::Stored* grad = static_cast<typename D::Stored*>(p.grad_log_probabilities);
    __shared__ double denominator;
    const bool mean = (p.flags & NLL_LOSS_MEAN) != 0;
    if (threadIdx.x == 0) denominator = denominator_of(p);
    __syncthreads();
    const double divisor = denominator;
    const int64_t chunk_rows = p.rows_per_block;
    for (int64_t chunk = blockIdx.x; chunk * chunk_rows < rows_of(p); chunk += gridDim.x) {
        const int64_t first = chunk * chunk_rows;
        const int count = static_cast<int>(min(chunk_rows, rows_of(p) - first));
        const int64_t row = first + threadIdx.x;
        const bool mine = threadIdx.x < count;
        const int64_t target = mine ? target_of(p, row) : 0;
        const bool ignored = target == p.ignore_index;
        const bool live = mine && is_live(p, target);
        const float weight = live ? weight_of(p, target) : 0.0f;
        const int64_t base = row / p.inner * p.classes * p.inner + row % p.inner;
        if (mine && p.row_loss != nullptr) {
            float loss = ignored ? 0.0f : canonical_nan();
            if (live) {
                const float gap = __fsub_rn(0.0f, D::widen(log_probabilities[base + target * p.inner]));
                loss = weight == 0.0f && fabsf(gap) == infinity() ? 0.0f : canonical(__fmul_rn(weight, gap));
            }
            p.row_loss[row] = loss;
        }
        if (mine && !live && !ignored) {
            count_bad_row(p.status, row);
            name_bad_target(
                p.status, rows_of(p), [&](int64_t at) { return target_of(p, at); },
                [&](int64_t at) { return at != p.ignore_index && !is_class(p, at); });
        }
        if (p.arrivals != nullptr && row == 0) *p.arrivals = 0;
        if (grad != nullptr) {
            const float elsewhere = live || ignored ? 0.0f : canonical_nan();
            float at_target = 0.0f;
            if (live) {
                const bool per_row = (p.flags & NLL_LOSS_GRAD_LOSS_PER_ROW) != 0;
                double a = p.grad_loss == nullptr ? 1.0 : static_cast<double>(p.grad_loss[per_row ? row : 0]);
                if (mean) a = __ddiv_rn(a, divisor);
                at_target = __double2float_rn(__dsub_rn(0.0, __dmul_rn(a, static_cast<double>(weight))));
            }
            const bool together = p.inner == 1;
            if (together) {
                __syncthreads(); /* it may lie over log-probabilities that another thread reads */
                fill<D, kBlock>(grad + first * p.classes, count * p.classes, 0.0f, threadIdx.x);
                __syncthreads();
                if (live) grad[base + target] = D::narrow(at_target);
            }
            if (mine && (!together || !(live || ignored))) {
#pragma unroll 1
                for (int64_t k = 0; k < p.classes; k++) {
                    grad[base + k * p.inner] = D::narrow(live && k == target ? at_target : elsewhere);
                }
            }
        }
    }
}

/* Blocks sum segments of row losses; the one that comes last joins them. The launch before has set `arrivals` to 0. */
__device__ __forceinline__ void reduce(const nll_loss_params& p) {
    __shared__ __align__(16) float lanes[kLanes];
    sum_segments(p, p.loss_parts, lanes, [&](int64_t row) { return p.row_loss[row]; });
    if (threadIdx.x != 0) return;
    if (gridDim.x > 1) {
        __threadfence();
        if (atomicAdd(p.arrivals, 1u) != gridDim.x - 1) return;
        __threadfence();
    }
    const double total = join(p, p.loss_parts);
    *p.loss = canonical(__double2float_rn(__ddiv_rn(total, denominator_of(p))));
}

} // namespace nll_loss
} // namespace isobit
