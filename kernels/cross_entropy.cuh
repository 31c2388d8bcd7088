/*
 * Cross-entropy with class indices: row losses, gradient of the logits, or both in one pass. Logits and gradient (type D)
 * float32, BF16 or F16; the rest float32.
 *
 *   m = max z    N = #{z = m}    R = sum of exp(z_k - m) over z_k < m    S = N + R
 *   row loss     = (m - z_t) + (N = 1 ? log1p(R) : log(S))
 *   gradient_k   = a·exp(z_k - m) / S          k != t;    a = upstream (/ denominator with MEAN)
 *   gradient_t   = -a·(S - exp(z_t - m)) / S   formed without the cancellation of p_t - 1
 *
 * NUMERICS.md gives the order of every operation, and cuts rows beyond 8192 classes into segments with a maximum of their
 * own; cross_entropy_params.h the arguments, shapes, launches and who writes what.
 *
 * Memory moved: logits read once and gradient written once, 8 bytes an element, 4 of 16 bits, up to 32 classes by a thread, 2048 by a
 * part of a warp or a warp, 8192 by a block, each holding a row in registers. A longer row is read a second time for the
 * gradient, from the end backwards to find what the cache still has, except for its last segment (registers) and the
 * stash_segments before it (shared memory). Beyond as many segments as a block has threads, 2 M classes (1 M of 16 bits), it is read three times. Beyond 32 classes
 * a row that is ignored or has a bad target is not read at all.
 *
 * Aliasing: grad_logits may be logits. A thread writes only elements that it alone reads, and z_t is read before a
 * barrier that comes before every write.
 */
#pragma once

#include "cross_entropy_params.h"
#include "exact_math.cuh"
#include "lanes.cuh"
#include "packed_io.cuh"
#include "status.cuh"

namespace isobit {
namespace cross_entropy {

constexpr int kSegment = CROSS_ENTROPY_SEGMENT;

enum class Kind { kLive, kIgnored, kBad, kAbsent };

__device__ __forceinline__ bool has_narrow_targets(const cross_entropy_params& p) {
    return (p.flags & CROSS_ENTROPY_TARGETS_I32) != 0;
}

__device__ __forceinline__ int64_t target_of(const cross_entropy_params& p, int64_t row) {
    return has_narrow_targets(p) ? static_cast<const int32_t*>(p.targets)[row]
                                 : static_cast<const int64_t*>(p.targets)[row];
}

template <typename D>
__device__ __forceinline__ typename D::Stored* logits_of(const cross_entropy_params& p) {
    return static_cast<typename D::Stored*>(const_cast<void*>(p.logits));
}

template <typename D>
__device__ __forceinline__ typename D::Stored* grad_of(const cross_entropy_params& p) {
    return static_cast<typename D::Stored*>(p.grad_logits);
}

__device__ __forceinline__ Kind kind_of(const cross_entropy_params& p, int64_t target) {
    if (target == p.ignore_index) return Kind::kIgnored;
    return target < 0 || target >= p.classes ? Kind::kBad : Kind::kLive;
}

/* Loss, and every gradient, of a row that has no sums: ignored +0, bad or invalid NaN. */
__device__ __forceinline__ float value_without_sums(Kind kind) {
    return kind == Kind::kIgnored ? 0.0f : canonical_nan();
}

__device__ __forceinline__ void name_first_bad_target(const cross_entropy_params& p) {
    name_bad_target(
        p.status, p.rows, [&](int64_t row) { return target_of(p, row); },
        [&](int64_t target) { return kind_of(p, target) == Kind::kBad; });
}

__device__ __forceinline__ void report_bad_target(const cross_entropy_params& p, int64_t row) {
    count_bad_row(p.status, row);
    name_first_bad_target(p);
}

/* The number of rows that count, from what the count launch left. Every thread of the warp gets it. */
__device__ __forceinline__ double denominator(const cross_entropy_params& p) {
    long long counted = 0;
#pragma unroll 1
    for (int i = threadIdx.x & 31; i < p.count_blocks; i += 32) counted += p.denominator_parts[i];
    return __ll2double_rn(group_sum<32>(counted));
}

/* What a row's gradient is multiplied by: the upstream gradient, divided by the denominator with MEAN. */
struct Upstream {
    const float* per_row; /* null: `common` for every row */
    bool mean;
    double divisor;
    double common;

    __device__ __forceinline__ explicit Upstream(const cross_entropy_params& p)
        : per_row((p.flags & CROSS_ENTROPY_GRAD_LOSS_PER_ROW) != 0 ? p.grad_loss : nullptr),
          mean((p.flags & CROSS_ENTROPY_MEAN) != 0), divisor(mean ? denominator(p) : 1.0),
          common(divided(p.grad_loss == nullptr ? 1.0f : p.grad_loss[0])) {}

    __device__ __forceinline__ double divided(float grad_loss) const {
        double a = static_cast<double>(grad_loss);
        return mean ? __ddiv_rn(a, divisor) : a;
    }

    __device__ __forceinline__ double of(int64_t row) const {
        return per_row == nullptr ? common : divided(per_row[row]);
    }
};

/* A row whose segments have been joined. */
struct Row {
    float max;
    long long count; /* N */
    double rest;     /* R */
    double total;    /* S */

    __device__ __forceinline__ Row(float max, long long count, double rest)
        : max(max), count(count), rest(rest), total(__dadd_rn(__ll2double_rn(count), rest)) {}

    /* A NaN among the logits is dropped by the maximum, but not by the sum. */
    __device__ __forceinline__ bool is_valid() const { return fabsf(max) < infinity() && rest == rest; }

    __device__ __forceinline__ float loss(float target_logit) const {
        float log_sum = count == 1 ? exact_log1p(__double2float_rn(rest)) : exact_log(__double2float_rn(total));
        double gap = __dsub_rn(static_cast<double>(max), static_cast<double>(target_logit));
        return canonical(__double2float_rn(__dadd_rn(gap, static_cast<double>(log_sum))));
    }

    /* What turns the exponentials of a segment of this weight into gradients. */
    __device__ __forceinline__ float factor(double upstream, double weight) const {
        return __double2float_rn(__ddiv_rn(__dmul_rn(upstream, weight), total));
    }

    /* target_exp is around the maximum of its segment, which has this weight. */
    __device__ __forceinline__ float target_gradient(double upstream, float target_logit, float target_exp,
                                                     double weight) const {
        double others = target_logit == max ? __dadd_rn(__ll2double_rn(count - 1), rest)
                                            : __dsub_rn(total, __dmul_rn(static_cast<double>(target_exp), weight));
        return canonical(__double2float_rn(__dsub_rn(0.0, __ddiv_rn(__dmul_rn(others, upstream), total))));
    }
};

/* Turns a logit into its exponential, counts it if it is the maximum, and returns what it adds to its lane. */
__device__ __forceinline__ float exponentiate(float& value, float max, int& count) {
    bool is_max = value == max;
    value = exp_difference(value, max);
    count += is_max;
    return is_max ? 0.0f : value;
}

/* ------------------------------------------------------------------------------------ a thread per row, C <= 32 */

constexpr int kThreadBlock = 128;

/* Moves a run of elements between global and shared memory, whose addresses are equal modulo 16. */
template <typename D, bool kToShared>
__device__ __forceinline__ void move_run(typename D::Stored* global, typename D::Stored* shared, int n, int thread) {
    int head = elements_to_boundary<D>(global);
    if (head > n) head = n;
    int whole = (n - head) / D::kPack;
    float4* quads = reinterpret_cast<float4*>(global + head);
    float4* shared_quads = reinterpret_cast<float4*>(shared + head);
    ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 4
    for (int q = thread; q < whole; q += kThreadBlock) {
        if (kToShared) {
            shared_quads[q] = quads[q];
        } else {
            __stcs(quads + q, shared_quads[q]);
        }
    }
    ISOBIT_MAIN_LOOP_END;
    int tail = n - head - D::kPack * whole;
    if (thread < head + tail) {
        int i = thread < head ? thread : D::kPack * whole + thread;
        if (kToShared) {
            shared[i] = global[i];
        } else {
            global[i] = shared[i];
        }
    }
}

/* A row of at most M classes in L lanes, L a power of two: the lanes from M on are +0. */
template <typename D, bool kGrad, int L, int M = L>
__device__ __forceinline__ void thread_rows(const cross_entropy_params& p, typename D::Stored* shared) {
    using Stored = typename D::Stored;
    const int classes = static_cast<int>(p.classes);
    const int thread = threadIdx.x;
    const Upstream upstream(p);
    /* Threads start at different elements of their rows, so that a power of two of classes does not send a warp to one
     * bank; lanes form a circle (lanes.cuh), so that the sum does not see it. A circle has all L lanes. */
    const int turn = M == L ? (thread * classes) >> 5 : 0;

    for (int64_t chunk = blockIdx.x; chunk * kThreadBlock < p.rows; chunk += gridDim.x) {
        const int64_t first_row = chunk * kThreadBlock;
        const int rows = static_cast<int>(min(static_cast<int64_t>(kThreadBlock), p.rows - first_row));
        const int64_t row = first_row + thread;
        const int64_t target = thread < rows ? target_of(p, row) : 0;
        const Kind kind = thread < rows ? kind_of(p, target) : Kind::kAbsent;
        Stored* logits = logits_of<D>(p) + first_row * classes;
        Stored* grad = kGrad ? grad_of<D>(p) + first_row * classes : logits;
        const int in = (D::kPack - elements_to_boundary<D>(logits)) & (D::kPack - 1);
        const int out = (D::kPack - elements_to_boundary<D>(grad)) & (D::kPack - 1);

        move_run<D, true>(logits, shared + in, rows * classes, thread);
        __syncthreads();

        const bool live = kind == Kind::kLive;
        Stored* mine = shared + in + thread * classes;
        float v[M];
        float max = -infinity();
#pragma unroll
        for (int i = 0; i < M; i++) {
            int k = (i + turn) & (L - 1);
            v[i] = live && k < classes ? D::widen(mine[k]) : -infinity();
            max = fmaxf(max, v[i]);
        }
        const float target_logit = live ? D::widen(mine[target]) : 0.0f;
        if (kGrad && in != out) {
            __syncthreads();
            mine = shared + out + thread * classes;
        }
        if (!live) max = 0.0f;
        int count = 0;
        const float rest =
            fold_thread<L>([&](int i) { return i < M ? exponentiate(v[i < M ? i : 0], max, count) : 0.0f; });
        const Row sums(max, count, static_cast<double>(rest));
        const bool valid = live && sums.is_valid();

        if (p.row_loss != nullptr && kind != Kind::kAbsent) {
            p.row_loss[row] = valid ? sums.loss(target_logit) : value_without_sums(kind);
        }
        if (kGrad) {
            const double a = valid ? upstream.of(row) : 0.0;
            const float factor = valid ? sums.factor(a, 1.0) : value_without_sums(kind);
            if (kind != Kind::kAbsent) {
#pragma unroll
                for (int i = 0; i < M; i++) {
                    int k = (i + turn) & (L - 1);
                    if (k < classes) mine[k] = D::narrow(__fmul_rn(v[i], factor));
                }
                if (valid) {
                    mine[target] =
                        D::narrow(sums.target_gradient(a, target_logit, exp_difference(target_logit, max), 1.0));
                }
            }
            __syncthreads();
            move_run<D, false>(grad, shared + out, rows * classes, thread);
        }
        if (kind == Kind::kBad) report_bad_target(p, row);
        if (p.arrivals != nullptr && row == 0) *p.arrivals = 0;
        __syncthreads(); /* the next chunk overwrites what this one still reads */
    }
}

template <typename D, bool kGrad>
__device__ __forceinline__ void thread_rows(const cross_entropy_params& p) {
    extern __shared__ float4 isobit_shared[];
    typename D::Stored* shared = reinterpret_cast<typename D::Stored*>(isobit_shared);
    if (p.classes <= 4) {
        thread_rows<D, kGrad, 4>(p, shared);
    } else if (p.classes <= 6) {
        thread_rows<D, kGrad, 8, 6>(p, shared);
    } else if (p.classes <= 8) {
        thread_rows<D, kGrad, 8>(p, shared);
    } else if (p.classes <= 10) {
        thread_rows<D, kGrad, 16, 10>(p, shared);
    } else if (p.classes <= 16) {
        thread_rows<D, kGrad, 16>(p, shared);
    } else if (p.classes <= 20) {
        thread_rows<D, kGrad, 32, 20>(p, shared);
    } else {
        thread_rows<D, kGrad, 32>(p, shared);
    }
}

/* ------------------------------------------------------------- a warp, or a part of one, per row, C <= 2048 */

constexpr int kWarpBlock = 128;

/* A group of T threads takes a row of at most kClasses classes. */
template <typename D, bool kGrad, int T, int kClasses>
__device__ __forceinline__ void warp_rows(const cross_entropy_params& p) {
    constexpr int P = D::kPack;
    constexpr int Q = kClasses / (P * T);
    constexpr int kRows = 32 / T;
    /* Packs of lanes that a thread has. Two elements may share a lane, not more: their order does not matter. */
    constexpr int kPacks = kClasses > kLanes ? kLanes / (P * T) : Q;
    static_assert(Q <= 2 * kPacks, "a lane of three elements has an order");
    const int classes = static_cast<int>(p.classes);
    const int thread = threadIdx.x & (T - 1);
    const int group = (threadIdx.x & 31) / T;
    const Upstream upstream(p);
    const int64_t step = static_cast<int64_t>(gridDim.x) * (kWarpBlock / 32) * kRows;
    int64_t row = (static_cast<int64_t>(blockIdx.x) * (kWarpBlock / 32) + threadIdx.x / 32) * kRows + group;
    int64_t target = row < p.rows ? target_of(p, row) : 0;

    for (; row - group < p.rows; row += step) {
        const Kind kind = row < p.rows ? kind_of(p, target) : Kind::kAbsent;
        const int64_t this_target = target;
        /* One row ahead: a row that is not live need not be read, and the warp need not wait to know. */
        if (row + step < p.rows) target = target_of(p, row + step);

        const bool live = kind == Kind::kLive;
        const int64_t offset = row * classes;
        const typename D::Stored* logits = logits_of<D>(p) + offset;
        const Placement<D, T, Q> placement(logits, thread);
        float v[Q][P];
        placement.load(logits, live ? classes : 0, -infinity(), v);
        const float target_logit = live ? D::widen(logits[this_target]) : 0.0f;
        __syncwarp(); /* z_t is read by all before one of them writes over it */

        float max = -infinity();
#pragma unroll
        for (int s = 0; s < Q; s++) {
#pragma unroll
            for (int c = 0; c < P; c++) max = fmaxf(max, v[s][c]);
        }
        max = group_max<T>(max);
        if (!live) max = 0.0f; /* exponentials +0, as an ignored row's gradient wants them */

        int count = 0;
        const auto slot = [&](int s) {
            LanePack<P> pack = {};
            if (placement.in_use(s, classes)) {
#pragma unroll
                for (int c = 0; c < P; c++) pack.lane[c] = exponentiate(v[s][c], max, count);
            }
            return pack;
        };
        const float rest = fold_group<T, kPacks, P>(
            thread, [&](int s) { return kPacks == Q ? slot(s) : add_lanes(slot(s), slot(s + kPacks)); });
        const Row sums(max, group_sum<T>(count), static_cast<double>(rest));
        const bool valid = live && sums.is_valid();

        if (p.row_loss != nullptr && kind != Kind::kAbsent && thread == 0) {
            p.row_loss[row] = valid ? sums.loss(target_logit) : value_without_sums(kind);
        }
        if (kGrad) {
            const double a = valid ? upstream.of(row) : 0.0;
            const float factor = valid ? sums.factor(a, 1.0) : value_without_sums(kind);
#pragma unroll
            for (int s = 0; s < Q; s++) {
#pragma unroll
                for (int c = 0; c < P; c++) v[s][c] = __fmul_rn(v[s][c], factor);
            }
            typename D::Stored* grad = grad_of<D>(p) + offset;
            placement.store(grad, kind == Kind::kAbsent ? 0 : classes, v);
            if (valid && thread == placement.owner(static_cast<int>(this_target))) {
                grad[this_target] =
                    D::narrow(sums.target_gradient(a, target_logit, exp_difference(target_logit, max), 1.0));
            }
        }
        if (thread == 0) {
            if (kind == Kind::kBad) report_bad_target(p, row);
            if (p.arrivals != nullptr && row == 0) *p.arrivals = 0;
        }
    }
}

template <typename D, bool kGrad>
__device__ __forceinline__ void warp_rows(const cross_entropy_params& p) {
    if (p.classes <= 64) {
        warp_rows<D, kGrad, 8, 64>(p);
    } else if (p.classes <= 128) {
        warp_rows<D, kGrad, 8, 128>(p);
    } else if (p.classes <= 256) {
        warp_rows<D, kGrad, 8, 256>(p);
    } else if (p.classes <= 512) {
        warp_rows<D, kGrad, 16, 512>(p);
    } else {
        warp_rows<D, kGrad, 32, 1024>(p);
    }
}

/* 1024 < C <= 2048: twice the registers of the others, which would keep fewer of their warps at work. */
template <typename D, bool kGrad>
__device__ __forceinline__ void wide_rows(const cross_entropy_params& p) {
    warp_rows<D, kGrad, 32, 2048>(p);
}

/* ----------------------------------------------------------------------------------------- a block per row, any C */

constexpr int kBlock = 256; /* of count and reduce */
constexpr int kBlockWarps = kBlock / 32;
constexpr int kSlots = kSegment / kLanes;

/* Of rows: a lane has one thread. */
template <typename D>
constexpr int kRowBlock = kLanes / D::kPack;

template <typename D>
using BlockPlacement = Placement<D, kRowBlock<D>, kSlots>;

template <typename D>
struct BlockShared {
    static constexpr int kWarps = kRowBlock<D> / 32;
    /* Segments whose states a block keeps; it joins them with a thread each. */
    static constexpr int kStates = kRowBlock<D>;

    float lanes[kLanes];
    float warp_max[kWarps];
    int warp_count[kWarps];
    /* per segment: m_j, n_j, r_j, f_j, w_j and what it adds to R */
    float max[kStates];
    int count[kStates];
    float sum[kStates];
    float factor[kStates];
    double weight[kStates];
    double term[kStates];
    /* rows of more segments */
    long long row_count;
    double row_rest;
};

/* One row's operands. */
template <typename D>
struct BlockRow {
    using Stored = typename D::Stored;
    int64_t classes;
    int64_t target;
    const Stored* logits;
    Stored* grad;
    float target_logit;
    double upstream;
    int segments;
    bool wants_loss;

    __device__ __forceinline__ int length(int j) const {
        int64_t rest = classes - static_cast<int64_t>(j) * kSegment;
        return rest < kSegment ? static_cast<int>(rest) : kSegment;
    }
    __device__ __forceinline__ const Stored* segment(int j) const {
        return logits + static_cast<int64_t>(j) * kSegment;
    }
    __device__ __forceinline__ Stored* grad_segment(int j) const { return grad + static_cast<int64_t>(j) * kSegment; }
    __device__ __forceinline__ int target_segment() const { return static_cast<int>(target / kSegment); }
};

/* What exponentials are taken around. A maximum of -inf would make NaN of z - m; around 0 every exponential of such a
 * segment is the +0 that it is to be, and a NaN is still a NaN. */
__device__ __forceinline__ float base_of(float max) { return max == -infinity() ? 0.0f : max; }

template <int P>
__device__ __forceinline__ float thread_max(const float (&v)[kSlots][P]) {
    float max = -infinity();
#pragma unroll
    for (int s = 0; s < kSlots; s++) {
#pragma unroll
        for (int c = 0; c < P; c++) max = fmaxf(max, v[s][c]);
    }
    return max;
}

/* One barrier; another must come before the next call. A NaN is dropped. */
template <typename D>
__device__ __forceinline__ float block_max(float x, BlockShared<D>& shared) {
    x = group_max<32>(x);
    if ((threadIdx.x & 31) == 0) shared.warp_max[threadIdx.x / 32] = x;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < BlockShared<D>::kWarps; w++) x = fmaxf(x, shared.warp_max[w]);
    return x;
}

/* Adds the elements of a segment to this thread's lanes in rising order; add(slot, component) is what the element
 * there adds. The head stands at the end of the circle and comes first. Leaves the lanes in shared memory. */
template <typename D, typename Add>
__device__ __forceinline__ void add_to_lanes(const BlockPlacement<D>& placement, int n, BlockShared<D>& shared,
                                             Add add) {
    constexpr int P = D::kPack;
    float lane[P] = {};
    float last[P] = {};
    if (placement.in_use(kSlots - 1, n)) {
#pragma unroll
        for (int c = 0; c < P; c++) {
            last[c] = add(kSlots - 1, c);
            if (placement.is_head(c)) lane[c] = __fadd_rn(lane[c], last[c]);
        }
    }
#pragma unroll
    for (int s = 0; s < kSlots - 1; s++) {
        if (placement.in_use(s, n)) {
#pragma unroll
            for (int c = 0; c < P; c++) lane[c] = __fadd_rn(lane[c], add(s, c));
        }
    }
#pragma unroll
    for (int c = 0; c < P; c++) {
        if (!placement.is_head(c)) lane[c] = __fadd_rn(lane[c], last[c]);
    }
    float4* mine = reinterpret_cast<float4*>(shared.lanes) + threadIdx.x * (P / 4);
#pragma unroll
    for (int c = 0; c < P; c += 4) mine[c / 4] = make_float4(lane[c], lane[c + 1], lane[c + 2], lane[c + 3]);
}

/* Turns the logits of a segment into exponentials; leaves lanes and counts in shared memory. */
template <typename D>
__device__ __forceinline__ void exponentiate_segment(const BlockPlacement<D>& placement, int n, float max,
                                                     float (&v)[kSlots][D::kPack], BlockShared<D>& shared) {
    const float base = base_of(max);
    int count = 0;
    add_to_lanes<D>(placement, n, shared, [&](int s, int c) {
        bool is_max = v[s][c] == max;
        v[s][c] = exp_difference(v[s][c], base);
        count += is_max;
        return is_max ? 0.0f : v[s][c];
    });
    count = group_sum<32>(count);
    if ((threadIdx.x & 31) == 0) shared.warp_count[threadIdx.x / 32] = count;
}

/* n_j, a barrier after exponentiate_segment. For a maximum of -inf it is not the 0 of the definition, which nobody can
 * tell: the weight of such a segment is 0, or the row is invalid. */
template <typename D>
__device__ __forceinline__ int segment_count(const BlockShared<D>& shared) {
    int count = 0;
#pragma unroll
    for (int w = 0; w < BlockShared<D>::kWarps; w++) count += shared.warp_count[w];
    return count;
}

/* w_j */
__device__ __forceinline__ double weight_of(float segment_max, float max) {
    return segment_max == max ? 1.0
                              : exact_exp64(__dsub_rn(static_cast<double>(segment_max), static_cast<double>(max)));
}

/* What a segment adds to R. */
__device__ __forceinline__ double term_of(float segment_max, int count, float sum, double weight, float max) {
    double r = static_cast<double>(sum);
    return segment_max == max ? r : __dmul_rn(weight, __dadd_rn(__int2double_rn(count), r));
}

/* Writes the gradient of a segment from its exponentials. */
template <typename D>
__device__ __forceinline__ void store_gradient(const BlockPlacement<D>& placement, typename D::Stored* grad, int n,
                                               float factor, float (&v)[kSlots][D::kPack]) {
#pragma unroll
    for (int s = 0; s < kSlots; s++) {
        if (placement.in_use(s, n)) {
#pragma unroll
            for (int c = 0; c < D::kPack; c++) v[s][c] = __fmul_rn(v[s][c], factor);
        }
    }
    placement.store(grad, n, v);
}

/* Returns the row's loss in thread 0. Beyond kStates segments no state is kept: the maximum of the row comes first, in a pass of its
 * own, so that a segment can be joined as soon as it is summed, and the gradient finds each segment's maximum again. */
template <typename D, bool kGrad>
__device__ __forceinline__ float block_row(const BlockRow<D>& row, int stash_segments, BlockShared<D>& shared,
                                           float4* stash) {
    constexpr int P = D::kPack;
    const BlockPlacement<D> placement(row.logits, threadIdx.x);
    const int segments = row.segments;
    const int last = segments - 1;
    const bool is_long = segments > BlockShared<D>::kStates;
    const int first_stashed = kGrad && !is_long ? last - stash_segments : last;
    float v[kSlots][P];
    float max = -infinity();
    float segment_max = -infinity();
    for (int pass = is_long ? 0 : 1; pass < 2; pass++) {
        if (is_long && pass == 1) {
            max = block_max(max, shared);
            if (threadIdx.x == 0) {
                shared.row_count = 0;
                shared.row_rest = 0.0;
            }
            __syncthreads();
        }
        for (int j = 0; j < segments; j++) {
            const int n = row.length(j);
            placement.load(row.segment(j), n, -infinity(), v);
            segment_max = thread_max(v);
            if (pass == 0) {
                max = fmaxf(max, segment_max);
                continue;
            }
            segment_max = block_max(segment_max, shared);
            max = fmaxf(max, segment_max);
            exponentiate_segment<D>(placement, n, segment_max, v, shared);
            if (j >= first_stashed && j < last) {
                float4* mine = stash + (last - 1 - j) * (kSegment / 4) + threadIdx.x;
#pragma unroll
                for (int s = 0; s < kSlots; s++) {
#pragma unroll
                    for (int c = 0; c < P; c += 4) {
                        mine[(s * P + c) / 4 * kRowBlock<D>] =
                            make_float4(v[s][c], v[s][c + 1], v[s][c + 2], v[s][c + 3]);
                    }
                }
            }
            __syncthreads();
            /* Warps take turns, so that none falls behind; what they read is safe until the barrier in block_max. */
            if (threadIdx.x / 32 == (j & (BlockShared<D>::kWarps - 1))) {
                const float sum = fold_shared(shared.lanes, threadIdx.x & 31);
                if ((threadIdx.x & 31) == 0) {
                    const int count = segment_count(shared);
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
    }
    __syncthreads();

    long long count = 0;
    double rest = 0.0;
    if (is_long) {
        count = shared.row_count;
        rest = shared.row_rest;
    } else {
        if (threadIdx.x < segments) {
            const int j = threadIdx.x;
            const double weight = weight_of(shared.max[j], max);
            shared.weight[j] = weight;
            shared.term[j] = term_of(shared.max[j], shared.count[j], shared.sum[j], weight, max);
        }
        __syncthreads();
        for (int j = 0; j < segments; j++) {
            if (shared.max[j] == max) count += shared.count[j];
            rest = __dadd_rn(rest, shared.term[j]);
        }
    }
    const Row sums(max, count, rest);
    const bool valid = sums.is_valid();

    if (kGrad) {
        if (!is_long) {
            if (threadIdx.x < segments) {
                const int j = threadIdx.x;
                shared.factor[j] = valid ? sums.factor(row.upstream, shared.weight[j]) : canonical_nan();
            }
            __syncthreads();
        }
        float target_max = max;
        for (int j = last; j >= 0; j--) {
            const int n = row.length(j);
            if (j < last && j >= first_stashed) {
                const float4* mine = stash + (last - 1 - j) * (kSegment / 4) + threadIdx.x;
#pragma unroll
                for (int s = 0; s < kSlots; s++) {
#pragma unroll
                    for (int c = 0; c < P; c += 4) {
                        const float4 x = mine[(s * P + c) / 4 * kRowBlock<D>];
                        v[s][c] = x.x;
                        v[s][c + 1] = x.y;
                        v[s][c + 2] = x.z;
                        v[s][c + 3] = x.w;
                    }
                }
            } else if (j < last) {
                placement.load(row.segment(j), n, -infinity(), v);
                segment_max = is_long ? block_max(thread_max(v), shared) : shared.max[j];
                const float base = base_of(segment_max);
#pragma unroll
                for (int s = 0; s < kSlots; s++) {
#pragma unroll
                    for (int c = 0; c < P; c++) v[s][c] = exp_difference(v[s][c], base);
                }
            }
            float factor;
            if (is_long) {
                factor = valid ? sums.factor(row.upstream, weight_of(segment_max, max)) : canonical_nan();
                __syncthreads(); /* block_max comes again */
            } else {
                factor = shared.factor[j];
                segment_max = shared.max[j];
            }
            if (j == row.target_segment()) target_max = segment_max;
            store_gradient<D>(placement, row.grad_segment(j), n, factor, v);
        }
        if (valid && placement.thread == placement.owner(static_cast<int>(row.target & (kSegment - 1)))) {
            const float target_exp = exp_difference(row.target_logit, base_of(target_max));
            row.grad[row.target] =
                D::narrow(sums.target_gradient(row.upstream, row.target_logit, target_exp, weight_of(target_max, max)));
        }
    }
    /* Thread 0 stores it; the other warps need not know. */
    return row.wants_loss && valid && threadIdx.x < 32 ? sums.loss(row.target_logit) : canonical_nan();
}

template <typename D, bool kGrad>
__device__ __forceinline__ void block_rows(const cross_entropy_params& p) {
    __shared__ __align__(16) BlockShared<D> shared;
    extern __shared__ float4 isobit_shared[];
    const Upstream upstream(p);
    BlockRow<D> row;
    row.classes = p.classes;
    row.segments = static_cast<int>((p.classes + kSegment - 1) / kSegment);
    row.wants_loss = p.row_loss != nullptr;
    for (int64_t i = blockIdx.x; i < p.rows; i += gridDim.x) {
        row.target = target_of(p, i);
        const Kind kind = kind_of(p, row.target);
        float loss;
        if (kind == Kind::kLive) {
            row.logits = logits_of<D>(p) + i * p.classes;
            row.grad = kGrad ? grad_of<D>(p) + i * p.classes : nullptr;
            row.target_logit = D::widen(row.logits[row.target]);
            row.upstream = kGrad ? upstream.of(i) : 0.0;
            loss = block_row<D, kGrad>(row, p.stash_segments, shared, isobit_shared);
        } else {
            loss = value_without_sums(kind);
            if (kGrad) fill<D, kRowBlock<D>>(grad_of<D>(p) + i * p.classes, p.classes, loss, threadIdx.x);
        }
        if (threadIdx.x == 0) {
            if (row.wants_loss) p.row_loss[i] = loss;
            if (p.arrivals != nullptr && i == 0) *p.arrivals = 0;
            if (kind == Kind::kBad) count_bad_row(p.status, i);
        }
    }
    if (threadIdx.x == 0) name_first_bad_target(p); /* behind the loop, whose registers it would take */
}

/* ------------------------------------------------------------------------------------------- the divisor of MEAN */

/* What this thread counts of its share of the targets. */
template <typename Target>
__device__ __forceinline__ long long count_share(const cross_entropy_params& p) {
    constexpr int kPacked = 16 / sizeof(Target);
    union Packed {
        int4 all;
        Target each[kPacked];
    };
    const Target* targets = static_cast<const Target*>(p.targets);
    const uintptr_t start = reinterpret_cast<uintptr_t>(targets) / sizeof(Target);
    int64_t head = static_cast<int64_t>((0 - start) & (kPacked - 1));
    if (head > p.rows) head = p.rows;
    const int64_t whole = (p.rows - head) / kPacked;
    const int4* packed = reinterpret_cast<const int4*>(targets + head);
    const int64_t first = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
    const int64_t step = static_cast<int64_t>(gridDim.x) * kBlock;
    long long counted = 0;
    ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 4
    for (int64_t q = first; q < whole; q += step) {
        Packed x;
        x.all = packed[q];
#pragma unroll
        for (int i = 0; i < kPacked; i++) counted += kind_of(p, x.each[i]) == Kind::kLive;
    }
    ISOBIT_MAIN_LOOP_END;
    const int64_t tail = p.rows - head - kPacked * whole;
    if (first < head + tail) {
        const int64_t row = first < head ? first : kPacked * whole + first;
        counted += kind_of(p, targets[row]) == Kind::kLive;
    }
    return counted;
}

__device__ __forceinline__ void count_targets(const cross_entropy_params& p) {
    __shared__ long long warp_counts[kBlockWarps];
    long long counted = has_narrow_targets(p) ? count_share<int32_t>(p) : count_share<int64_t>(p);
    counted = group_sum<32>(counted);
    if ((threadIdx.x & 31) == 0) warp_counts[threadIdx.x / 32] = counted;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < kBlockWarps; w++) counted += warp_counts[w];
        p.denominator_parts[blockIdx.x] = counted;
    }
}

/* ------------------------------------------------------------------------------------------ SUM and MEAN of the loss */

/* Blocks sum segments of row losses; the one that comes last joins them. The row launch before this one has set
 * `arrivals` to 0, so that nothing is left over from a launch that broke off. */
__device__ __forceinline__ void reduce_loss(const cross_entropy_params& p) {
    __shared__ __align__(16) BlockShared<F32> shared;
    __shared__ bool is_last;
    const int64_t segments = (p.rows + kSegment - 1) / kSegment;
    const BlockPlacement<F32> placement(p.row_loss, threadIdx.x);
    for (int64_t j = blockIdx.x; j < segments; j += gridDim.x) {
        const int64_t rest = p.rows - j * kSegment;
        const int n = rest < kSegment ? static_cast<int>(rest) : kSegment;
        float v[kSlots][4];
        placement.load(p.row_loss + j * kSegment, n, 0.0f, v);
        add_to_lanes<F32>(placement, n, shared, [&](int s, int c) { return v[s][c]; });
        __syncthreads();
        if (threadIdx.x < 32) {
            const float sum = fold_shared(shared.lanes, threadIdx.x);
            if (threadIdx.x == 0) p.loss_parts[j] = sum;
        }
        __syncthreads();
    }
    if (gridDim.x > 1) {
        if (threadIdx.x == 0) {
            __threadfence();
            is_last = atomicAdd(p.arrivals, 1u) == gridDim.x - 1;
            __threadfence();
        }
        __syncthreads();
        if (!is_last) return;
    }

    double total = 0.0;
    for (int64_t first = 0; first < segments; first += kLanes) {
        const int n = segments - first < kLanes ? static_cast<int>(segments - first) : kLanes;
        /* Past the first-level cache, which does not see what other blocks wrote. */
        for (int i = threadIdx.x; i < n; i += kBlock) shared.lanes[i] = __ldcg(p.loss_parts + first + i);
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int i = 0; i < n; i++) total = __dadd_rn(total, static_cast<double>(shared.lanes[i]));
        }
        __syncthreads();
    }
    if (threadIdx.x < 32) {
        if ((p.flags & CROSS_ENTROPY_MEAN) != 0) total = __ddiv_rn(total, denominator(p));
        if (threadIdx.x == 0) *p.loss = canonical(__double2float_rn(total));
    }
}

} // namespace cross_entropy
} // namespace isobit
