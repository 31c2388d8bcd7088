/*
 * Softmax and log-softmax along the middle axis of [outer, classes, inner], of type D, float32, BF16 or F16, and their
 * gradients. All is computed in float32 and rounded once.
 *
 *   m = max z    N = #{z = m}    R = sum of exp(z_k - m) over z_k < m    S = N + R
 *   p_k  = exp(z_k - m) / S                      gradient_k = p_k·(g_k - sum g·p)
 *   lp_k = (z_k - m) - (N = 1 ? log1p(R) : log(S))   gradient_k = g_k - exp(lp_k)·sum g
 *
 * The row code is that of cross-entropy; NUMERICS.md gives the order of every operation, softmax_params.h the arguments and
 * launches. With inner = 1 a part of a warp or a warp takes a row of up to 1024 classes, a block any row; else a thread
 * takes a column, and neighbouring threads read neighbouring memory.
 *
 * Memory moved: 8 bytes an element forward, 12 backward, of 16 bits half of that, up to 1024 classes by a warp, 8192 by a block, which hold a row
 * in registers. All but the last segment of a longer row are read a second time, forward beyond 256 segments a third
 * time. A column is read three times forward and twice backward, mostly from cache.
 *
 * Aliasing: result may be input or grad_output. A thread writes only elements that it alone reads, after it has read
 * them for the last time.
 */
#pragma once

#include "cross_entropy.cuh"
#include "softmax_params.h"

namespace isobit {
namespace softmax {

using cross_entropy::add_to_lanes;
using cross_entropy::base_of;
using cross_entropy::block_max;
using cross_entropy::exponentiate;
using cross_entropy::kSegment;
using cross_entropy::kSlots;
using cross_entropy::Row;
using cross_entropy::segment_count;
using cross_entropy::term_of;
using cross_entropy::thread_max;
using cross_entropy::weight_of;

using cross_entropy::BlockPlacement;
using cross_entropy::BlockShared;
using cross_entropy::kRowBlock;

constexpr int kWarpBlock = 128;
constexpr int kColumnBlock = 128;
static_assert(kSegment == SOFTMAX_SEGMENT, "rows are cut as those of cross-entropy");

__device__ __forceinline__ bool is_log(const softmax_params& p) { return (p.flags & SOFTMAX_LOG) != 0; }

template <typename D>
__device__ __forceinline__ const typename D::Stored* input_of(const softmax_params& p) {
    return static_cast<const typename D::Stored*>(p.input);
}

template <typename D>
__device__ __forceinline__ const typename D::Stored* grad_output_of(const softmax_params& p) {
    return static_cast<const typename D::Stored*>(p.grad_output);
}

template <typename D>
__device__ __forceinline__ typename D::Stored* result_of(const softmax_params& p) {
    return static_cast<typename D::Stored*>(p.result);
}

/* A result, which is no other NaN than the canonical one. */
template <typename D>
__device__ __forceinline__ typename D::Stored stored(float x) {
    if constexpr (sizeof(typename D::Stored) == sizeof(float)) {
        return x;
    } else {
        return D::narrow(x);
    }
}

/* What turns a row's elements into results: exponentials into p, logits into log-probabilities. */
struct Scale {
    float factor;
    double max;
    double log_sum;

    /* Of a segment of this weight in a row that may be invalid: then every result is NaN. */
    __device__ __forceinline__ Scale(const Row& sums, bool log, double weight)
        : factor(canonical_nan()), max(static_cast<double>(sums.max)), log_sum(static_cast<double>(canonical_nan())) {
        if (!sums.is_valid()) return;
        if (log) {
            const float r = __double2float_rn(sums.rest);
            log_sum = static_cast<double>(sums.count == 1 ? exact_log1p(r) : exact_log(__double2float_rn(sums.total)));
        } else {
            factor = sums.factor(1.0, weight);
        }
    }

    __device__ __forceinline__ float probability(float exponential) const {
        return canonical(__fmul_rn(exponential, factor));
    }

    __device__ __forceinline__ float log_probability(float z) const {
        return canonical(__double2float_rn(__dsub_rn(__dsub_rn(static_cast<double>(z), max), log_sum)));
    }
};

/* What an element adds to the sum of the gradient. y: what forward wrote; g: upstream. */
__device__ __forceinline__ float gradient_term(bool log, float y, float g) { return log ? g : __fmul_rn(y, g); }

__device__ __forceinline__ float gradient_of(bool log, float y, float g, float sum) {
    return canonical(log ? __fmaf_rn(-exact_exp(y), sum, g) : __fmul_rn(y, __fsub_rn(g, sum)));
}

/* Reads a row for a placement that may have been made for a row at another distance from a boundary. */
template <typename D, int T, int Q>
__device__ __forceinline__ void load_like(const Placement<D, T, Q>& placement, const typename D::Stored* row, int n,
                                          float (&v)[Q][D::kPack]) {
    if (elements_to_boundary<D>(row) == placement.head) {
        placement.load(row, n, 0.0f, v);
        return;
    }
#pragma unroll
    for (int s = 0; s < Q; s++) {
#pragma unroll
        for (int c = 0; c < D::kPack; c++) {
            int e = placement.first + placement.kStep * s + c;
            if (s == Q - 1 && placement.is_head(c)) e -= placement.kPositions;
            v[s][c] = e < n ? D::widen(row[e]) : 0.0f;
        }
    }
}

/* ------------------------------------------------------------------------ a warp, or a part of one, per row, C <= 1024 */

/* A group of T threads takes a row of at most kClasses classes, one a lane. */
template <typename D, int T, int kClasses>
__device__ __forceinline__ void warp_rows(const softmax_params& p) {
    constexpr int P = D::kPack;
    constexpr int Q = kClasses / (P * T);
    constexpr int kRows = 32 / T;
    static_assert(kClasses <= kLanes, "an element a lane");
    const int classes = static_cast<int>(p.classes);
    const int thread = threadIdx.x & (T - 1);
    const int group = (threadIdx.x & 31) / T;
    const bool log = is_log(p);
    const int64_t step = static_cast<int64_t>(gridDim.x) * (kWarpBlock / 32) * kRows;
    int64_t row = (static_cast<int64_t>(blockIdx.x) * (kWarpBlock / 32) + threadIdx.x / 32) * kRows + group;

    for (; row - group < p.outer; row += step) {
        const int n = row < p.outer ? classes : 0;
        const typename D::Stored* input = input_of<D>(p) + row * classes;
        const Placement<D, T, Q> placement(input, thread);
        float v[Q][P];
        placement.load(input, n, -infinity(), v);
        float max = -infinity();
#pragma unroll
        for (int s = 0; s < Q; s++) {
#pragma unroll
            for (int c = 0; c < P; c++) max = fmaxf(max, v[s][c]);
        }
        max = group_max<T>(max);

        int count = 0;
        const auto element = [&](float& value) {
            float exponential = value;
            const float term = exponentiate(exponential, max, count);
            if (!log) value = exponential;
            return term;
        };
        const float rest = fold_group<T, Q, P>(thread, [&](int s) {
            LanePack<P> pack = {};
            if (placement.in_use(s, n)) {
#pragma unroll
                for (int c = 0; c < P; c++) pack.lane[c] = element(v[s][c]);
            }
            return pack;
        });
        const Scale scale(Row(max, group_sum<T>(count), static_cast<double>(rest)), log, 1.0);
#pragma unroll
        for (int s = 0; s < Q; s++) {
            if (!placement.in_use(s, n)) continue;
#pragma unroll
            for (int c = 0; c < P; c++) {
                v[s][c] = log ? scale.log_probability(v[s][c]) : scale.probability(v[s][c]);
            }
        }
        placement.store(result_of<D>(p) + row * classes, n, v);
    }
}

template <typename D>
__device__ __forceinline__ void warp_rows(const softmax_params& p) {
    if (p.classes <= 64) {
        warp_rows<D, 8, 64>(p);
    } else if (p.classes <= 256) {
        warp_rows<D, 8, 256>(p);
    } else {
        warp_rows<D, 32, 1024>(p);
    }
}

template <typename D, int T, int kClasses>
__device__ __forceinline__ void warp_gradients(const softmax_params& p) {
    constexpr int P = D::kPack;
    constexpr int Q = kClasses / (P * T);
    constexpr int kRows = 32 / T;
    const int classes = static_cast<int>(p.classes);
    const int thread = threadIdx.x & (T - 1);
    const int group = (threadIdx.x & 31) / T;
    const bool log = is_log(p);
    const int64_t step = static_cast<int64_t>(gridDim.x) * (kWarpBlock / 32) * kRows;
    int64_t row = (static_cast<int64_t>(blockIdx.x) * (kWarpBlock / 32) + threadIdx.x / 32) * kRows + group;

    for (; row - group < p.outer; row += step) {
        const int n = row < p.outer ? classes : 0;
        const int64_t offset = row * classes;
        const Placement<D, T, Q> placement(input_of<D>(p) + offset, thread);
        float y[Q][P];
        float g[Q][P];
        placement.load(input_of<D>(p) + offset, n, 0.0f, y);
        load_like(placement, grad_output_of<D>(p) + offset, n, g);
        /* A lane starts at +0: it never is -0. */
        const auto lane = [&](int s, int c) { return __fadd_rn(0.0f, gradient_term(log, y[s][c], g[s][c])); };
        const float sum = fold_group<T, Q, P>(thread, [&](int s) {
            LanePack<P> pack;
#pragma unroll
            for (int c = 0; c < P; c++) pack.lane[c] = lane(s, c);
            return pack;
        });
#pragma unroll
        for (int s = 0; s < Q; s++) {
            if (!placement.in_use(s, n)) continue;
#pragma unroll
            for (int c = 0; c < P; c++) y[s][c] = gradient_of(log, y[s][c], g[s][c], sum);
        }
        placement.store(result_of<D>(p) + offset, n, y);
    }
}

template <typename D>
__device__ __forceinline__ void warp_gradients(const softmax_params& p) {
    if (p.classes <= 64) {
        warp_gradients<D, 8, 64>(p);
    } else if (p.classes <= 256) {
        warp_gradients<D, 8, 256>(p);
    } else {
        warp_gradients<D, 32, 1024>(p);
    }
}

/* ----------------------------------------------------------------------------------------- a block per row, any C */

__device__ __forceinline__ int segment_length(int64_t classes, int j) {
    const int64_t rest = classes - static_cast<int64_t>(j) * kSegment;
    return rest < kSegment ? static_cast<int>(rest) : kSegment;
}

/* Beyond kStates segments no state is kept: the maximum of the row comes first, in a pass of its own, so that a segment
 * can be joined as soon as it is summed, and each segment's maximum is found again for its results. */
template <typename D>
__device__ __forceinline__ void block_row(const softmax_params& p, const typename D::Stored* input,
                                          typename D::Stored* result, BlockShared<D>& shared) {
    constexpr int P = D::kPack;
    const BlockPlacement<D> placement(input, threadIdx.x);
    const bool log = is_log(p);
    const int segments = static_cast<int>((p.classes + kSegment - 1) / kSegment);
    const int last = segments - 1;
    const bool is_long = segments > BlockShared<D>::kStates;
    float v[kSlots][P];
    float max = -infinity();
    float segment_max = -infinity();
    if (is_long) {
        for (int j = 0; j < segments; j++) {
            placement.load(input + static_cast<int64_t>(j) * kSegment, segment_length(p.classes, j), -infinity(), v);
            max = fmaxf(max, thread_max(v));
        }
        max = block_max(max, shared);
    }
    if (threadIdx.x == 0) {
        shared.row_count = 0;
        shared.row_rest = 0.0;
    }
    __syncthreads();
    for (int j = 0; j < segments; j++) {
        const int n = segment_length(p.classes, j);
        placement.load(input + static_cast<int64_t>(j) * kSegment, n, -infinity(), v);
        segment_max = block_max(thread_max(v), shared);
        max = fmaxf(max, segment_max);
        const float base = base_of(segment_max);
        int count = 0;
        add_to_lanes<D>(placement, n, shared, [&](int s, int c) {
            const float z = v[s][c];
            const float exponential = exp_difference(z, base);
            count += z == segment_max;
            if (!log) v[s][c] = exponential;
            return z == segment_max ? 0.0f : exponential;
        });
        count = group_sum<32>(count);
        if ((threadIdx.x & 31) == 0) shared.warp_count[threadIdx.x / 32] = count;
        __syncthreads();
        /* What the first warp reads is safe until the barrier in block_max. */
        if (threadIdx.x < 32) {
            const float sum = fold_shared(shared.lanes, threadIdx.x);
            if (threadIdx.x == 0) {
                count = segment_count(shared);
                if (is_long) {
                    const double weight = weight_of(segment_max, max);
                    if (segment_max == max) shared.row_count += count;
                    shared.row_rest = __dadd_rn(shared.row_rest, term_of(segment_max, count, sum, weight, max));
                } else {
                    shared.max[j] = segment_max;
                    shared.count[j] = count;
                    shared.sum[j] = sum;
                }
            }
        }
    }
    __syncthreads();
    if (!is_long && threadIdx.x == 0) {
        for (int j = 0; j < segments; j++) {
            const double weight = weight_of(shared.max[j], max);
            if (shared.max[j] == max) shared.row_count += shared.count[j];
            shared.row_rest =
                __dadd_rn(shared.row_rest, term_of(shared.max[j], shared.count[j], shared.sum[j], weight, max));
        }
    }
    __syncthreads();
    const Row sums(max, shared.row_count, shared.row_rest);

    for (int j = last; j >= 0; j--) {
        const int n = segment_length(p.classes, j);
        if (j < last) {
            placement.load(input + static_cast<int64_t>(j) * kSegment, n, -infinity(), v);
            if (!log) {
                segment_max = is_long ? block_max(thread_max(v), shared) : shared.max[j];
                const float base = base_of(segment_max);
#pragma unroll
                for (int s = 0; s < kSlots; s++) {
#pragma unroll
                    for (int c = 0; c < P; c++) v[s][c] = exp_difference(v[s][c], base);
                }
            }
        }
        const Scale scale(sums, log, log ? 1.0 : weight_of(segment_max, max));
#pragma unroll
        for (int s = 0; s < kSlots; s++) {
            if (!placement.in_use(s, n)) continue;
#pragma unroll
            for (int c = 0; c < P; c++) {
                v[s][c] = log ? scale.log_probability(v[s][c]) : scale.probability(v[s][c]);
            }
        }
        placement.store(result + static_cast<int64_t>(j) * kSegment, n, v);
        if (is_long) __syncthreads(); /* block_max comes again */
    }
    __syncthreads(); /* the next row overwrites what this one still reads */
}

template <typename D>
__device__ __forceinline__ void block_rows(const softmax_params& p) {
    __shared__ __align__(16) BlockShared<D> shared;
    for (int64_t i = blockIdx.x; i < p.outer; i += gridDim.x) {
        block_row<D>(p, input_of<D>(p) + i * p.classes, result_of<D>(p) + i * p.classes, shared);
    }
}

template <typename D>
__device__ __forceinline__ void block_gradients(const softmax_params& p) {
    constexpr int P = D::kPack;
    __shared__ __align__(16) BlockShared<D> shared;
    const bool log = is_log(p);
    const int segments = static_cast<int>((p.classes + kSegment - 1) / kSegment);
    for (int64_t i = blockIdx.x; i < p.outer; i += gridDim.x) {
        const typename D::Stored* input = input_of<D>(p) + i * p.classes;
        const typename D::Stored* grad_output = grad_output_of<D>(p) + i * p.classes;
        typename D::Stored* result = result_of<D>(p) + i * p.classes;
        const BlockPlacement<D> placement(input, threadIdx.x);
        float y[kSlots][P];
        float g[kSlots][P];
        double total = 0.0;
        for (int j = 0; j < segments; j++) {
            const int64_t first = static_cast<int64_t>(j) * kSegment;
            const int n = segment_length(p.classes, j);
            placement.load(input + first, n, 0.0f, y);
            load_like(placement, grad_output + first, n, g);
            add_to_lanes<D>(placement, n, shared, [&](int s, int c) { return gradient_term(log, y[s][c], g[s][c]); });
            __syncthreads();
            /* Each warp for itself. */
            total = __dadd_rn(total, static_cast<double>(fold_shared(shared.lanes, threadIdx.x & 31)));
            __syncthreads();
        }
        const float sum = __double2float_rn(total);
        for (int j = segments - 1; j >= 0; j--) {
            const int64_t first = static_cast<int64_t>(j) * kSegment;
            const int n = segment_length(p.classes, j);
            if (j < segments - 1) {
                placement.load(input + first, n, 0.0f, y);
                load_like(placement, grad_output + first, n, g);
            }
#pragma unroll
            for (int s = 0; s < kSlots; s++) {
                if (!placement.in_use(s, n)) continue;
#pragma unroll
                for (int c = 0; c < P; c++) y[s][c] = gradient_of(log, y[s][c], g[s][c], sum);
            }
            placement.store(result + first, n, y);
        }
    }
}

/* --------------------------------------------------------------------------------------- a thread per column, any C */

/* Folds the lanes of n elements; add(k) is what element k adds to its lane. Lanes come in the order in which the fold
 * meets them, bit-reversed, so that a sum for each bit of their number is all that waits. */
template <typename Add>
__device__ __forceinline__ float fold_column(int n, Add add) {
    constexpr int kBits = 10;
    static_assert(kLanes == 1 << kBits, "a waiting sum for each bit");
    float waiting[kBits];
    const int bits = n <= 2 ? 1 : n < kLanes ? 32 - __clz(n - 1) : kBits;
    float x = 0.0f;
#pragma unroll 1
    for (int i = 0; i < 1 << bits; i++) {
        x = 0.0f;
#pragma unroll 1
        for (int k = static_cast<int>(__brev(i) >> (32 - bits)); k < n; k += kLanes) x = __fadd_rn(x, add(k));
        bool carries = true;
#pragma unroll
        for (int b = 0; b < kBits; b++) {
            const bool is_set = ((i >> b) & 1) != 0;
            if (carries && is_set) x = __fadd_rn(waiting[b], x);
            if (carries && !is_set) waiting[b] = x;
            carries = carries && is_set;
        }
    }
    return x;
}

/* A column's elements. */
struct Column {
    int64_t stride;
    int64_t at;

    __device__ __forceinline__ Column(const softmax_params& p, int64_t column)
        : stride(p.inner), at(column / p.inner * p.classes * p.inner + column % p.inner) {}

    __device__ __forceinline__ int64_t operator[](int64_t k) const { return at + k * stride; }
};

template <typename D>
__device__ __forceinline__ float column_max(const typename D::Stored* z, const Column& column, int64_t first,
                                            int64_t n) {
    float max = -infinity();
#pragma unroll 4
    for (int64_t k = first; k < first + n; k++) max = fmaxf(max, D::widen(z[column[k]]));
    return max;
}

template <typename D>
__device__ __forceinline__ void columns(const softmax_params& p) {
    const typename D::Stored* input = input_of<D>(p);
    const bool log = is_log(p);
    const int segments = static_cast<int>((p.classes + kSegment - 1) / kSegment);
    const int64_t count_of_columns = p.outer * p.inner;
    const int64_t step = static_cast<int64_t>(gridDim.x) * kColumnBlock;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * kColumnBlock + threadIdx.x; i < count_of_columns; i += step) {
        const Column column(p, i);
        const float max = column_max<D>(input, column, 0, p.classes);
        long long count = 0;
        double rest = 0.0;
        for (int j = 0; j < segments; j++) {
            const int64_t first = static_cast<int64_t>(j) * kSegment;
            const int n = segment_length(p.classes, j);
            const float segment_max = segments == 1 ? max : column_max<D>(input, column, first, n);
            const float base = base_of(segment_max);
            int equal = 0;
            const float sum = fold_column(n, [&](int k) {
                const float z = D::widen(input[column[first + k]]);
                equal += z == segment_max;
                return z == segment_max ? 0.0f : exp_difference(z, base);
            });
            if (segment_max == max) count += equal;
            rest = __dadd_rn(rest, term_of(segment_max, equal, sum, weight_of(segment_max, max), max));
        }
        const Row sums(max, count, rest);
        for (int j = 0; j < segments; j++) {
            const int64_t first = static_cast<int64_t>(j) * kSegment;
            const int n = segment_length(p.classes, j);
            const float segment_max = log || segments == 1 ? max : column_max<D>(input, column, first, n);
            const float base = base_of(segment_max);
            const Scale scale(sums, log, weight_of(segment_max, max));
#pragma unroll 1
            for (int k = 0; k < n; k++) {
                const float z = D::widen(input[column[first + k]]);
                result_of<D>(p)[column[first + k]] =
                    stored<D>(log ? scale.log_probability(z) : scale.probability(exp_difference(z, base)));
            }
        }
    }
}

template <typename D>
__device__ __forceinline__ void column_gradients(const softmax_params& p) {
    const typename D::Stored* input = input_of<D>(p);
    const typename D::Stored* grad_output = grad_output_of<D>(p);
    const bool log = is_log(p);
    const int segments = static_cast<int>((p.classes + kSegment - 1) / kSegment);
    const int64_t count_of_columns = p.outer * p.inner;
    const int64_t step = static_cast<int64_t>(gridDim.x) * kColumnBlock;
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * kColumnBlock + threadIdx.x; i < count_of_columns; i += step) {
        const Column column(p, i);
        double total = 0.0;
        for (int j = 0; j < segments; j++) {
            const int64_t first = static_cast<int64_t>(j) * kSegment;
            const float sum = fold_column(segment_length(p.classes, j), [&](int k) {
                const int64_t at = column[first + k];
                return gradient_term(log, D::widen(input[at]), D::widen(grad_output[at]));
            });
            total = __dadd_rn(total, static_cast<double>(sum));
        }
        const float sum = __double2float_rn(total);
#pragma unroll 2
        for (int64_t k = 0; k < p.classes; k++) {
            const int64_t at = column[k];
            result_of<D>(p)[at] = stored<D>(gradient_of(log, D::widen(input[at]), D::widen(grad_output[at]), sum));
        }
    }
}

} // namespace softmax
} // namespace isobit
