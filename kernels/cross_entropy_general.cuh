/*
 * Cross-entropy with options: class indices or probabilities, weights, label smoothing, z-loss, softcap, scale,
 * any layout; loss, gradient, log-sum-exp, entropy, argmax, hits and log-probabilities from one pass. Or all these from the
 * states of an earlier pass, or of passes over shards of the classes: the same bits, and the logits are read once for the
 * gradient, once for log-probabilities.
 *
 *   z = softcap(x·scale)    m, N, R, S = N + R, log S as in cross_entropy.cuh    lse = m + log S
 *   q = class weight, for probabilities times (t·keep + smooth)    A = sum of q    B = sum of q·(m - z)
 *   row loss   = u·(hard·((m - z_t) + log S) + spread·(B + A·log S) + lambda·lse^2)    hard = keep·q_t or 0
 *   gradient_k = e_k·f - a·spread·q_k, at an index' class formed without the cancellation of p_t - 1; times the slope of
 *                the softcap
 *   lp_k       = (z_k - m) - log S, of every row, whatever its target. Here, where m and log S are at hand: a launch of
 *                log-softmax would read the logits twice more, and knows neither scale nor softcap
 *
 * NUMERICS.md gives the order of every operation, cross_entropy_general_params.h the arguments, launches and who writes what.
 *
 * Memory moved by `block`: a row of at most a segment is read once and waits in shared memory; a longer one is read again
 * for its gradient and for its log-probabilities, but for the last segment, which is there still (for a gradient unless there
 * is a softcap, or log-probabilities were written), and beyond 256 segments once more before. `column` has a thread a row:
 * neighbouring rows are neighbours in memory where inner is more than 1. With GENERAL_KEPT they are read once and wait in
 * shared memory; else they are read as often as they are needed, from a cache if there is room.
 *
 * Aliasing: grad_logits may be logits. A thread writes only elements that it alone reads, and z_t is read before a
 * barrier that comes before every write.
 */
#pragma once

#include "cross_entropy_general_params.h"
#include "exact_math.cuh"
#include "lanes.cuh"
#include "mean.cuh"
#include "packed_io.cuh"
#include "softcap.cuh"
#include "status.cuh"

namespace isobit {
namespace cross_entropy_general {

using Params = cross_entropy_general_params;

constexpr int kBlock = 256;
constexpr int kSegment = GENERAL_SEGMENT;
constexpr int kSlots = kSegment / kLanes;
/* Of a block a row: a lane has one thread, a thread the lanes of one 128-bit access. */
template <typename D>
constexpr int kRowBlock = kLanes / D::kPack;
/* Segments whose states a block keeps. */
constexpr int kStates = 256;

__device__ __forceinline__ bool has(const Params& p, uint32_t flag) { return (p.flags & flag) != 0; }

/* ------------------------------------------------------------------------------------------------------- operands */

enum class Kind { kLive, kIgnored, kBad };

/* Of class indices. */
__device__ __forceinline__ int64_t target_of(const Params& p, int64_t row) {
    if (has(p, GENERAL_TARGETS_I32)) return static_cast<const int32_t*>(p.targets)[row];
    if (has(p, GENERAL_TARGETS_I16)) return static_cast<const int16_t*>(p.targets)[row];
    if (has(p, GENERAL_TARGETS_U8)) return static_cast<const uint8_t*>(p.targets)[row];
    return static_cast<const int64_t*>(p.targets)[row];
}

__device__ __forceinline__ Kind kind_of(const Params& p, int64_t target) {
    if (has(p, GENERAL_PROBABILITIES)) return Kind::kLive;
    if (target == p.ignore_index) return Kind::kIgnored;
    return target < 0 || target >= p.all_classes ? Kind::kBad : Kind::kLive;
}

__device__ __forceinline__ void report_bad_target(const Params& p, int64_t row) {
    count_bad_row(p.status, row);
    name_bad_target(
        p.status, p.rows, [&](int64_t at) { return target_of(p, at); },
        [&](int64_t target) { return kind_of(p, target) == Kind::kBad; });
}

__device__ __forceinline__ float weight_of(const Params& p, int64_t row) {
    return p.weights == nullptr ? 1.0f : p.weights[row];
}

__device__ __forceinline__ float class_weight(const Params& p, int64_t k) {
    return p.class_weights == nullptr ? 1.0f : p.class_weights[k];
}

/* Whether the label has a share for each class, beside the one that an index names. */
__device__ __forceinline__ bool has_labels(const Params& p) {
    return has(p, GENERAL_PROBABILITIES) || p.smooth != 0.0f;
}

/* What a row's gradient is multiplied by. */
struct Upstream {
    const float* per_row; /* null: `common` for every row */
    double common;

    __device__ __forceinline__ Upstream(const Params& p, double denominator)
        : per_row(has(p, GENERAL_GRAD_LOSS_PER_ROW) ? p.grad_loss : nullptr) {
        const float one = p.grad_loss == nullptr || per_row != nullptr ? 1.0f : p.grad_loss[0];
        common = __dmul_rn(static_cast<double>(p.grad_loss_scale), static_cast<double>(one));
        if (has(p, GENERAL_MEAN)) {
            common = denominator == 0.0 ? 0.0 : __ddiv_rn(common, denominator);
        }
    }

    __device__ __forceinline__ double of(const Params& p, int64_t row) const {
        double a = per_row == nullptr ? common : __dmul_rn(common, static_cast<double>(per_row[row]));
        a = __dmul_rn(a, static_cast<double>(weight_of(p, row)));
        a = __dmul_rn(a, static_cast<double>(p.scale));
        /* With probabilities both sides of a difference see the same factor: one class gives 0. */
        return has(p, GENERAL_PROBABILITIES) ? static_cast<double>(__double2float_rn(a)) : a;
    }
};

/* A logit after the softcap, from the scaled one. */
__device__ __forceinline__ float capped(const Params& p, float y) {
    return p.softcap == 0.0f ? y : softcapped(y, p.softcap, p.softcap_rate, softcap_decay(y, p.softcap_rate));
}

/* A logit after scale and softcap. */
__device__ __forceinline__ float effective(const Params& p, float x) { return capped(p, __fmul_rn(x, p.scale)); }

/* What a class weight and a probability make of the label. */
__device__ __forceinline__ float label_of(const Params& p, float class_weight, float probability) {
    return __fmul_rn(class_weight, p.smooth == 0.0f ? probability : __fmaf_rn(probability, p.keep, p.smooth));
}

/* ------------------------------------------------------------------------------------------------ sums of a segment */

/* What exponentials are taken around: -inf would make NaN of a difference, around 0 all are the +0 that they are. */
__device__ __forceinline__ float base_of(float max) { return max == -infinity() ? 0.0f : max; }

/* A factor's share of a sum of distances to the base: 0 wins over infinity. */
__device__ __forceinline__ float distance_term(float factor, float base, float z) {
    return factor == 0.0f ? 0.0f : __fmul_rn(factor, __fsub_rn(base, z));
}

/* w_j */
__device__ __forceinline__ double segment_weight(float segment_max, float max) {
    return segment_max == max ? 1.0
                              : exact_exp64(__dsub_rn(static_cast<double>(segment_max), static_cast<double>(max)));
}

struct SegmentSums {
    float max;
    int count;
    float rest;
    float labels;
    float distances;
    float entropy;
};

__device__ __forceinline__ int64_t segments_of(int64_t classes) { return (classes + kSegment - 1) / kSegment; }

/* A segment that has no softmax is NaN but for the place of its maximum, which is NaN where the segment has a NaN. */
__device__ __forceinline__ void keep_state(const Params& p, int64_t row, int64_t j, const SegmentSums& s, float place) {
    if (p.states == nullptr) return;
    float* to = p.states + (j * p.rows + row) * GENERAL_STATE;
    const bool valid = s.max < infinity() && s.rest == s.rest;
    to[0] = valid ? s.max : canonical_nan();
    to[1] = valid ? __int2float_rn(s.max == -infinity() ? 0 : s.count) : canonical_nan();
    to[2] = valid ? s.rest : canonical_nan();
    to[3] = valid ? canonical(s.labels) : canonical_nan();
    to[4] = valid ? canonical(s.distances) : canonical_nan();
    to[5] = valid ? canonical(s.entropy) : canonical_nan();
    to[6] = place;
}

/* Of segment j of the whole row. */
__device__ __forceinline__ const float* saved_state(const Params& p, int64_t row, int64_t j) {
    return p.saved_states + (j * p.rows + row) * GENERAL_STATE;
}

__device__ __forceinline__ float saved_max(const Params& p, int64_t row, int64_t j) { return *saved_state(p, row, j); }

/* Of a row. */
__device__ __forceinline__ float saved_max(const Params& p, int64_t row, bool& has_nan) {
    float max = -infinity();
#pragma unroll 1
    for (int64_t j = 0; j < segments_of(p.all_classes); j++) {
        const float of_segment = saved_max(p, row, j);
        has_nan |= of_segment != of_segment;
        max = fmaxf(max, of_segment);
    }
    return max;
}

__device__ __forceinline__ SegmentSums saved_sums(const Params& p, int64_t row, int64_t j) {
    const float* from = saved_state(p, row, j);
    return SegmentSums{from[0], __float2int_rn(from[1]), from[2], from[3], from[4], from[5]};
}

/* The first class with the highest logit; -1 where a place is NaN or was not asked for. */
__device__ __forceinline__ int64_t saved_argmax(const Params& p, int64_t row) {
    float max = -infinity();
    int64_t argmax = -1;
#pragma unroll 1
    for (int64_t j = 0; j < segments_of(p.all_classes); j++) {
        const float* from = saved_state(p, row, j);
        const float place = from[6];
        if (!(place >= 0.0f)) return -1;
        /* Of a segment without a NaN: +inf. */
        const float top = from[0] == from[0] ? from[0] : infinity();
        if (top > max || argmax < 0) {
            max = top;
            argmax = j * kSegment + __float2int_rn(place);
        }
    }
    return argmax;
}

/* The row: its segments joined one after the other, then what comes of them. */
struct Row {
    float max;
    long long count = 0;
    double rest = 0.0;
    double labels = 0.0;
    double distances = 0.0;
    double entropy_terms = 0.0;
    double total = 0.0;
    float log_sum = 0.0f;

    __device__ __forceinline__ explicit Row(float max) : max(max) {}

    __device__ __forceinline__ void join(const SegmentSums& s) {
        const double weight = segment_weight(s.max, max);
        const int n = s.max == -infinity() ? 0 : s.count;
        const double all = __dadd_rn(__int2double_rn(n), static_cast<double>(s.rest));
        if (s.max == max) {
            count += n;
            rest = __dadd_rn(rest, static_cast<double>(s.rest));
        } else {
            rest = __dadd_rn(rest, __dmul_rn(weight, all));
        }
        const double gap = __dsub_rn(static_cast<double>(max), static_cast<double>(base_of(s.max)));
        const double of_labels = static_cast<double>(s.labels);
        labels = __dadd_rn(labels, of_labels);
        distances = __dadd_rn(distances, __dadd_rn(static_cast<double>(s.distances), __dmul_rn(of_labels, gap)));
        if (weight != 0.0) {
            const double terms = __dadd_rn(static_cast<double>(s.entropy), __dmul_rn(all, gap));
            entropy_terms = __dadd_rn(entropy_terms, __dmul_rn(weight, terms));
        }
    }

    __device__ __forceinline__ void finish() {
        total = __dadd_rn(__ll2double_rn(count), rest);
        log_sum = count == 1 ? exact_log1p(__double2float_rn(rest)) : exact_log(__double2float_rn(total));
    }

    __device__ __forceinline__ float log_probability(float z) const {
        const double gap = __dsub_rn(static_cast<double>(z), static_cast<double>(max));
        return __double2float_rn(__dsub_rn(gap, static_cast<double>(log_sum)));
    }

    __device__ __forceinline__ double lse() const {
        return __dadd_rn(static_cast<double>(max), static_cast<double>(log_sum));
    }

    __device__ __forceinline__ float entropy() const {
        return canonical(__double2float_rn(__dadd_rn(static_cast<double>(log_sum), __ddiv_rn(entropy_terms, total))));
    }
};

/* What loss and gradient take beside the row's sums. */
struct Scalars {
    double hard;
    double target_weight;
    double spread;
    double z_loss;
    bool labels;

    __device__ __forceinline__ Scalars(const Params& p, int64_t target)
        : z_loss(static_cast<double>(p.z_loss)), labels(has_labels(p)) {
        const bool soft = has(p, GENERAL_PROBABILITIES);
        target_weight = soft ? 1.0 : static_cast<double>(class_weight(p, target));
        hard = soft ? 0.0 : __dmul_rn(static_cast<double>(p.keep), target_weight);
        spread = soft ? 1.0 : static_cast<double>(p.smooth);
    }

    __device__ __forceinline__ float loss(const Row& row, float target_logit, float weight) const {
        const double log_sum = static_cast<double>(row.log_sum);
        const double gap = __dsub_rn(static_cast<double>(row.max), static_cast<double>(target_logit));
        double loss = hard == 0.0 ? 0.0 : __dmul_rn(hard, __dadd_rn(gap, log_sum));
        if (labels) {
            loss = __dadd_rn(loss, __dmul_rn(spread, __dadd_rn(row.distances, __dmul_rn(row.labels, log_sum))));
        }
        if (z_loss != 0.0) {
            const double lse = row.lse();
            loss = __dadd_rn(loss, __dmul_rn(__dmul_rn(z_loss, lse), lse));
        }
        const bool is_infinite = fabs(loss) == __longlong_as_double(0x7ff0000000000000ll);
        const double weighted = weight == 0.0f && is_infinite ? 0.0 : __dmul_rn(static_cast<double>(weight), loss);
        return canonical(__double2float_rn(weighted));
    }

    __device__ __forceinline__ double z_mass(const Row& row) const {
        return __dmul_rn(__dmul_rn(2.0, z_loss), row.lse());
    }

    /* What turns the exponentials of a segment of this weight into p's share of the gradients. */
    __device__ __forceinline__ float factor(const Row& row, double upstream, double weight) const {
        double mass = labels ? __dadd_rn(hard, __dmul_rn(spread, row.labels)) : hard;
        if (z_loss != 0.0) mass = __dadd_rn(mass, z_mass(row));
        return __double2float_rn(__ddiv_rn(__dmul_rn(__dmul_rn(upstream, weight), mass), row.total));
    }

    __device__ __forceinline__ float label_factor(double upstream) const {
        return __double2float_rn(__dmul_rn(upstream, spread));
    }

    /* target_exp is around the maximum of its segment, which has this weight. */
    __device__ __forceinline__ float target_gradient(const Row& row, double upstream, float target_logit,
                                                     float target_exp, double weight) const {
        const double own = __dmul_rn(static_cast<double>(target_exp), weight);
        const double others =
            target_logit == row.max ? __dadd_rn(__ll2double_rn(row.count - 1), row.rest) : __dsub_rn(row.total, own);
        double g = __dsub_rn(0.0, __ddiv_rn(__dmul_rn(__dmul_rn(others, upstream), hard), row.total));
        if (labels || z_loss != 0.0) {
            double mass = labels ? __dmul_rn(spread, row.labels) : 0.0;
            if (z_loss != 0.0) mass = __dadd_rn(mass, z_mass(row));
            const double rise = __dsub_rn(__dmul_rn(mass, __ddiv_rn(own, row.total)), __dmul_rn(spread, target_weight));
            g = __dadd_rn(g, __dmul_rn(upstream, rise));
        }
        return __double2float_rn(g);
    }
};

/* An element of the gradient from its share of p and, where there are labels, of these; then softcap and what is there. */
struct Gradient {
    const Params& p;
    const Scalars& scalars;
    const Row& row;
    double upstream;
    int64_t target; /* among the classes that are here; else none of them */
    float target_logit;
    float label_factor;
    /* of the segment in work */
    float base;
    double weight;
    float factor;
    bool knows_own;
    float own;

    __device__ __forceinline__ Gradient(const Params& p, const Scalars& scalars, const Row& row, double upstream,
                                        int64_t target, float target_logit)
        : p(p), scalars(scalars), row(row), upstream(upstream), target(target), target_logit(target_logit),
          label_factor(scalars.label_factor(upstream)), base(0.0f), weight(0.0), factor(0.0f), knows_own(false),
          own(0.0f) {}

    __device__ __forceinline__ void segment(float segment_max) {
        base = base_of(segment_max);
        weight = segment_weight(segment_max, row.max);
        factor = scalars.factor(row, upstream, weight);
    }

    /* What the gradient at the target has in place of e·factor, if it is in the segment in work; before any is asked for, where
     * each thread of a warp has a target of its own, or all would do this whenever one of them comes to it. */
    template <typename Logit>
    __device__ __forceinline__ void find_own(int64_t first, int n, Logit effective_at) {
        knows_own = true;
        if (target >= first && target < first + n) own = own_of(exp_difference(effective_at(target), base));
    }

    __device__ __forceinline__ float own_of(float e) const {
        return scalars.target_gradient(row, upstream, target_logit, e, weight);
    }

    /* Of class k, from its scaled logit and its label; `previous` is what is there. A NaN may be any. */
    __device__ __forceinline__ float of(int64_t k, float y, float label, float previous) const {
        float z = y;
        float slope = 1.0f;
        if (p.softcap != 0.0f) {
            const float decay = softcap_decay(y, p.softcap_rate);
            z = softcapped(y, p.softcap, p.softcap_rate, decay);
            slope = softcap_slope(decay);
        }
        const float e = exp_difference(z, base);
        float g = scalars.labels ? __fmaf_rn(e, factor, -__fmul_rn(label_factor, label)) : __fmul_rn(e, factor);
        if (k == target) g = knows_own ? own : own_of(e);
        if (p.softcap != 0.0f) g = __fmul_rn(g, slope);
        return has(p, GENERAL_ACCUMULATE) ? __fadd_rn(previous, g) : g;
    }
};

/* The target of a row among the classes that are here, and its logit. */
struct Target {
    int64_t own; /* -1: it is not here */
    float logit;

    /* effective_at(k): of class k of those that are here. */
    template <typename Logit>
    __device__ __forceinline__ Target(const Params& p, int64_t row, int64_t target, bool live, Logit effective_at)
        : own(-1), logit(0.0f) {
        if (live && !has(p, GENERAL_PROBABILITIES)) {
            const int64_t k = target - p.first_class;
            if (k >= 0 && k < p.classes) own = k;
            if (p.saved_target_logits != nullptr) {
                logit = p.saved_target_logits[row];
            } else if (own >= 0) {
                logit = effective_at(own);
            }
        }
    }
};

/* What is known of a row in the end, beside its loss. */
__device__ __forceinline__ void store_results(const Params& p, int64_t row, float loss, float lse, float entropy,
                                              int64_t argmax) {
    if (p.row_loss != nullptr) p.row_loss[row] = loss;
    if (p.lse != nullptr) p.lse[row] = lse;
    if (p.entropy != nullptr) p.entropy[row] = entropy;
    if (p.argmax != nullptr) p.argmax[row] = argmax;
}

__device__ __forceinline__ void store_results_without_sums(const Params& p, int64_t row, Kind kind, int64_t argmax) {
    const float value = kind == Kind::kIgnored ? 0.0f : canonical_nan();
    store_results(p, row, value, value, value, argmax);
    if (kind == Kind::kBad) report_bad_target(p, row);
}

/* Of the states that this call writes. */
__device__ __forceinline__ bool wants_places(const Params& p) { return p.states != nullptr && has(p, GENERAL_PLACES); }

__device__ __forceinline__ void add_hits(const Params& p, unsigned long long hits) {
    if (p.hits != nullptr && hits != 0) atomicAdd(reinterpret_cast<unsigned long long*>(p.hits), hits);
}

/* ------------------------------------------------------------------------------- a thread per row, any C, any layout */

/* Adds the sums of each height that wait for this one, the i-th; what is then to wait does. The last is the sum of all. By
 * constants, so that sums wait in registers, and no more is done than there is to add. */
template <int kLevel, int kLevels>
__device__ __forceinline__ void carry(float (&waiting)[kLevels], int i, float& x) {
    if constexpr (kLevel < kLevels) {
        if ((i & (1 << kLevel)) == 0) {
            waiting[kLevel] = x;
        } else {
            x = __fadd_rn(waiting[kLevel], x);
            carry<kLevel + 1>(waiting, i, x);
        }
    }
}

/* The lane sum of n terms by one thread: lanes in the order in which the fold meets them, so that one sum of each height
 * waits at a time; four of them between two looks at the higher ones. */
template <typename Term>
__device__ __forceinline__ float lane_sum(int n, Term term) {
    constexpr int kLevels = 10;
    static_assert(1 << kLevels == kLanes, "a level for each bit of the lane number");
    const int bits = n <= 1 ? 0 : n >= kLanes ? kLevels : 32 - __clz(n - 1);
    const int lanes = 1 << bits;
    float waiting[kLevels - 2];
#pragma unroll
    for (int l = 0; l < kLevels - 2; l++) waiting[l] = 0.0f;
    float x = 0.0f;
#pragma unroll 1
    for (int i = 0; i < lanes; i += 4) {
        float one = 0.0f;
        float two = 0.0f;
#pragma unroll 1
        for (int j = i; j < i + 4 && j < lanes; j++) {
            x = 0.0f;
            const int lane = bits == 0 ? 0 : static_cast<int>(__brev(static_cast<unsigned>(j)) >> (32 - bits));
#pragma unroll 1
            for (int k = lane; k < n; k += kLanes) x = __fadd_rn(x, term(k));
            if ((j & 1) == 0) {
                one = x;
            } else {
                x = __fadd_rn(one, x);
                if ((j & 2) == 0) {
                    two = x;
                } else {
                    x = __fadd_rn(two, x);
                }
            }
        }
        carry<0>(waiting, i / 4, x);
    }
    return x;
}

/* The labels of a row: what a class weight and a probability make, or the class weights alone. */
template <typename D>
struct Labels {
    const Params& p;
    int64_t offset; /* of class 0 */

    __device__ __forceinline__ float probability(int64_t at) const {
        if (has(p, GENERAL_TARGETS_NARROW)) return D::widen(static_cast<const typename D::Stored*>(p.targets)[at]);
        return static_cast<const float*>(p.targets)[at];
    }

    __device__ __forceinline__ float of(int64_t k, int64_t inner) const {
        const float weight = class_weight(p, p.first_class + k);
        return has(p, GENERAL_PROBABILITIES) ? label_of(p, weight, probability(offset + k * inner)) : weight;
    }
};

/* One row for one thread. */
template <typename D>
struct Column {
    using Stored = typename D::Stored;

    const Params& p;
    const Stored* logits; /* of class 0 */
    Labels<D> labels;
    const Stored* kept; /* null: as they stand */

    /* Copies the logits to where this thread keeps those of one row, eight on their way at a time. */
    __device__ __forceinline__ void keep(Stored* to) {
        constexpr int kBatch = 8;
        const int n = static_cast<int>(p.classes);
        const Stored* from = logits;
#pragma unroll 1
        for (int k = 0; k < n; k += kBatch) {
            Stored x[kBatch];
#pragma unroll
            for (int b = 0; b < kBatch; b++) {
                if (k + b < n) x[b] = *from;
                from += p.inner;
            }
#pragma unroll
            for (int b = 0; b < kBatch; b++) {
                if (k + b < n) to[(k + b) * kBlock] = x[b];
            }
        }
        kept = to;
    }

    __device__ __forceinline__ float raw(int64_t k) const {
        return D::widen(kept != nullptr ? kept[static_cast<int>(k) * kBlock] : logits[k * p.inner]);
    }
    __device__ __forceinline__ float logit(int64_t k) const { return effective(p, raw(k)); }
    __device__ __forceinline__ float label(int64_t k) const { return labels.of(k, p.inner); }

    /* Of classes from `first` on; a NaN is dropped, and said. */
    __device__ __forceinline__ float max(int64_t first, int64_t n, bool& has_nan) const {
        float max = -infinity();
#pragma unroll 1
        for (int64_t k = first; k < first + n; k++) {
            const float z = logit(k);
            has_nan |= z != z;
            max = fmaxf(max, z);
        }
        return max;
    }

    /* The first element of a segment that is its maximum, as the state has it. */
    __device__ __forceinline__ float place(int64_t first, int n, float max) const {
        if (!wants_places(p)) return -1.0f;
        int found = -1;
#pragma unroll 1
        for (int k = 0; k < n; k++) {
            const float z = logit(first + k);
            if (z != z) return canonical_nan();
            if (z == max && found < 0) found = k;
        }
        return __int2float_rn(found);
    }

    __device__ __forceinline__ SegmentSums sums(int64_t first, int n, float max) const {
        SegmentSums s{max, 0, 0.0f, 0.0f, 0.0f, 0.0f};
        const float base = base_of(max);
        s.rest = lane_sum(n, [&](int k) {
            const float z = logit(first + k);
            s.count += z == max;
            return z == max ? 0.0f : exp_difference(z, base);
        });
        if (has_labels(p)) {
            s.labels = lane_sum(n, [&](int k) { return label(first + k); });
            s.distances = lane_sum(n, [&](int k) { return distance_term(label(first + k), base, logit(first + k)); });
        }
        if (has(p, GENERAL_ENTROPY)) {
            s.entropy = lane_sum(n, [&](int k) {
                const float z = logit(first + k);
                return distance_term(exp_difference(z, base), base, z);
            });
        }
        return s;
    }

    __device__ __forceinline__ void store_log_probabilities(float* to, bool valid, const Row& row) const {
#pragma unroll 1
        for (int64_t k = 0; k < p.classes; k++) {
            to[k * p.inner] = valid ? row.log_probability(logit(k)) : canonical_nan();
        }
        for (int64_t k = p.classes; k < p.stride; k++) to[k * p.inner] = -infinity();
    }
};

__device__ __forceinline__ int length_from(int64_t first, int64_t classes) {
    return classes - first < kSegment ? static_cast<int>(classes - first) : kSegment;
}

/* ----------------------------------------------------------------------------------------------------- denominator */

/* Joins sums of segments of the rows in rising order, in float64. Thread 0 gets the result. */
template <int kThreads>
__device__ __forceinline__ double join(const Params& p, const float* parts, float* shared) {
    const int64_t segments = segments_of(p.rows);
    double total = 0.0;
    for (int64_t first = 0; first < segments; first += kLanes) {
        const int n = segments - first < kLanes ? static_cast<int>(segments - first) : kLanes;
        __syncthreads();
        /* Past the first-level cache, which does not see what other blocks wrote. */
        for (int i = threadIdx.x; i < n; i += kThreads) shared[i] = __ldcg(parts + first + i);
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int i = 0; i < n; i++) total = __dadd_rn(total, static_cast<double>(shared[i]));
        }
    }
    return total;
}

template <int kThreads>
__device__ __forceinline__ double sum_of_weights(const Params& p, float* shared) {
    __shared__ double joined;
    if (p.divisor != nullptr) return static_cast<double>(*p.divisor);
    if (!has(p, GENERAL_SUMMED_DENOMINATOR)) return __ll2double_rn(p.rows);
    const double total = join<kThreads>(p, p.weight_parts, shared);
    if (threadIdx.x == 0) joined = total;
    __syncthreads();
    return joined;
}

/* Of MEAN, 0 with GENERAL_ZERO alone; each block joins it anew, which spares a launch. All threads get it; else 1. */
template <int kThreads>
__device__ __forceinline__ double denominator_of(const Params& p, float* shared) {
    if (!has(p, GENERAL_MEAN)) return 1.0;
    const double sum = sum_of_weights<kThreads>(p, shared);
    return has(p, GENERAL_ZERO) ? sum : nan_for_zero(sum);
}

/* For the reduce launch behind this one. */
__device__ __forceinline__ void nobody_has_arrived(const Params& p) {
    if (p.arrivals != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *p.arrivals = 0;
}

template <typename D, bool kGrad>
__device__ __forceinline__ void column_rows(const Params& p) {
    using Stored = typename D::Stored;
    extern __shared__ float4 isobit_shared[];
    __shared__ float lanes[kGrad ? kLanes : 1];
    const Upstream upstream(p, kGrad ? denominator_of<kBlock>(p, lanes) : 1.0);
    nobody_has_arrived(p);
    const int64_t step = static_cast<int64_t>(gridDim.x) * kBlock;
    unsigned long long hits = 0;
    for (int64_t row = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; row < p.rows; row += step) {
        const int64_t outer = p.inner == 1 ? row : row / p.inner;
        const int64_t offset = p.inner == 1 ? row * p.stride : outer * p.stride * p.inner + (row - outer * p.inner);
        const bool soft = has(p, GENERAL_PROBABILITIES);
        const int64_t target = soft ? -1 : target_of(p, row);
        const Kind kind = kind_of(p, target);
        Column<D> column{p, static_cast<const Stored*>(p.logits) + offset, Labels<D>{p, offset}, nullptr};
        Stored* grad = kGrad ? static_cast<Stored*>(p.grad_logits) + offset : nullptr;
        if (kGrad && !has(p, GENERAL_ACCUMULATE)) {
            for (int64_t k = p.classes; k < p.stride; k++) grad[k * p.inner] = D::narrow(0.0f);
        }
        const bool live = kind == Kind::kLive;
        const bool saved = p.saved_states != nullptr;
        const bool is_read = !saved && (live || p.log_probabilities != nullptr || p.states != nullptr);
        if (is_read && has(p, GENERAL_KEPT)) column.keep(reinterpret_cast<Stored*>(isobit_shared) + threadIdx.x);
        bool has_nan = false;
        const float max = is_read ? column.max(0, p.classes, has_nan)
                          : saved ? saved_max(p, row, has_nan)
                                  : -infinity();
        const bool valid = !has_nan && fabsf(max) < infinity();
        int64_t argmax = -1;
        if (has(p, GENERAL_PLACES) && live) {
            if (saved) {
                argmax = saved_argmax(p, row);
            } else if (!has_nan) {
                argmax = 0;
                while (column.logit(argmax) != max) argmax++;
            }
            hits += argmax >= 0 && argmax == target;
        }
        Row sums(max);
        if (valid || p.states != nullptr) {
            const int64_t classes = saved ? p.all_classes : p.classes;
#pragma unroll 1
            for (int64_t first = 0; first < classes; first += kSegment) {
                const int n = length_from(first, classes);
                const int64_t j = first / kSegment;
                const SegmentSums s =
                    saved ? saved_sums(p, row, j)
                          : column.sums(first, n, p.classes <= kSegment ? max : column.max(first, n, has_nan));
                if (!saved) keep_state(p, row, j, s, column.place(first, n, s.max));
                sums.join(s);
            }
            sums.finish();
        }
        if (p.log_probabilities != nullptr) column.store_log_probabilities(p.log_probabilities + offset, valid, sums);
        const Target own(p, row, target, live, [&](int64_t k) { return column.logit(k); });
        if (p.target_logits != nullptr) p.target_logits[row] = canonical(own.logit);
        if (!live || !valid) {
            store_results_without_sums(p, row, kind, argmax);
            if (kGrad && !(kind == Kind::kIgnored && has(p, GENERAL_ACCUMULATE))) {
                const float value = kind == Kind::kIgnored ? 0.0f : canonical_nan();
                for (int64_t k = 0; k < p.classes; k++) grad[k * p.inner] = D::narrow(value);
            }
            continue;
        }
        const Scalars scalars(p, target);
        store_results(p, row, scalars.loss(sums, own.logit, weight_of(p, row)), __double2float_rn(sums.lse()),
                      sums.entropy(), argmax);
        if (kGrad) {
            Gradient gradient(p, scalars, sums, upstream.of(p, row), own.own, own.logit);
#pragma unroll 1
            for (int64_t first = 0; first < p.classes; first += kSegment) {
                const int n = length_from(first, p.classes);
                gradient.segment(saved                   ? saved_max(p, row, (p.first_class + first) / kSegment)
                                 : p.classes <= kSegment ? max
                                                         : column.max(first, n, has_nan));
                gradient.find_own(first, n, [&](int64_t k) { return column.logit(k); });
#pragma unroll 1
                for (int64_t k = first; k < first + n; k++) {
                    const int64_t at = k * p.inner;
                    const float previous = has(p, GENERAL_ACCUMULATE) ? D::widen(grad[at]) : 0.0f;
                    const float label = scalars.labels ? column.label(k) : 0.0f;
                    grad[at] = D::narrow(gradient.of(k, __fmul_rn(column.raw(k), p.scale), label, previous));
                }
            }
        }
    }
    if (p.hits != nullptr) {
        hits = group_sum<32>(hits);
        if ((threadIdx.x & 31) == 0) add_hits(p, hits);
    }
}

/* ---------------------------------------------------------------------------------- a block per row, any C, inner = 1 */

template <typename D>
struct Shared {
    static constexpr int kWarps = kRowBlock<D> / 32;

    float4 logits[kSegment / 4]; /* of the segment in work, see BlockRow; each thread its own */
    float lanes[kLanes];
    float warp_value[kWarps];
    float sum;
    SegmentSums states[kStates];
};

/* One barrier; another must come before the next call. A NaN is dropped. */
template <typename D>
__device__ __forceinline__ float block_max(float x, Shared<D>& shared) {
    x = group_max<32>(x);
    if ((threadIdx.x & 31) == 0) shared.warp_value[threadIdx.x / 32] = x;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < Shared<D>::kWarps; w++) x = fmaxf(x, shared.warp_value[w]);
    return x;
}

/* A sum that a float holds. Two barriers. */
template <typename D>
__device__ __forceinline__ int block_count(int x, Shared<D>& shared) {
    x = group_sum<32>(x);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) shared.warp_value[threadIdx.x / 32] = __int2float_rn(x);
    __syncthreads();
    int sum = 0;
#pragma unroll
    for (int w = 0; w < Shared<D>::kWarps; w++) sum += static_cast<int>(shared.warp_value[w]);
    return sum;
}

/* A segment of n elements of a row that starts off a 16-byte boundary by `head` elements: the packs of a thread, slot by
 * slot, and which elements stand there. Those before the boundary come at the end of the last slot (packed_io.cuh). */
template <typename D>
struct Packs {
    static constexpr int kPack = D::kPack;

    int head;
    int n;

    __device__ __forceinline__ Packs(const typename D::Stored* segment, int n)
        : head(elements_to_boundary<D>(segment)), n(n) {}

    __device__ __forceinline__ int first(int slot) const {
        return head + kPack * static_cast<int>(threadIdx.x) + kLanes * slot;
    }
    __device__ __forceinline__ bool is_whole(int slot) const { return first(slot) + kPack - 1 < n; }
    __device__ __forceinline__ bool wraps(int slot, int c) const { return first(slot) + c >= kSegment; }

    /* The element there; n or more: none. */
    __device__ __forceinline__ int element(int slot, int c) const {
        const int k = first(slot) + c;
        return k >= kSegment ? k - kSegment : k;
    }

    /* Slots that hold an element. */
    __device__ __forceinline__ int slots() const { return head > 0 ? kSlots : (n + kLanes - 1) / kLanes; }
};

/* Adds terms to the thread's lanes in rising order, and folds them; term(slot, c, k) is that of element k. All threads get
 * the sum. */
template <typename D, typename Term>
__device__ __forceinline__ float block_sum(const Packs<D>& packs, Shared<D>& shared, Term term) {
    float lane[D::kPack];
#pragma unroll
    for (int c = 0; c < D::kPack; c++) {
        lane[c] = 0.0f;
        /* The head's elements are the first of their lanes. */
        if (packs.wraps(kSlots - 1, c) && packs.element(kSlots - 1, c) < packs.n) {
            lane[c] = __fadd_rn(lane[c], term(kSlots - 1, c, packs.element(kSlots - 1, c)));
        }
    }
    const int slots = packs.slots();
#pragma unroll 1
    for (int slot = 0; slot < slots; slot++) {
#pragma unroll
        for (int c = 0; c < D::kPack; c++) {
            const int k = packs.first(slot) + c;
            if (k < packs.n) lane[c] = __fadd_rn(lane[c], term(slot, c, k));
        }
    }
#pragma unroll
    for (int q = 0; q < D::kPack / 4; q++) {
        reinterpret_cast<float4*>(shared.lanes)[threadIdx.x * (D::kPack / 4) + q] =
            make_float4(lane[4 * q], lane[4 * q + 1], lane[4 * q + 2], lane[4 * q + 3]);
    }
    __syncthreads();
    if (threadIdx.x < 32) {
        const float sum = fold_shared(shared.lanes, threadIdx.x);
        if (threadIdx.x == 0) shared.sum = sum;
    }
    __syncthreads();
    return shared.sum;
}

__device__ __forceinline__ float component(const float4& quad, int c) {
    return c == 0 ? quad.x : c == 1 ? quad.y : c == 2 ? quad.z : quad.w;
}

/* A row for a block. Shared memory holds logits after scale and softcap; the gradient of a row of one segment is to read
 * nothing again, and takes the scaled ones: those are held there, and the softcap is taken of them as often as need be. */
template <typename D>
struct BlockRow {
    using Stored = typename D::Stored;
    static constexpr int kPack = D::kPack;

    const Params& p;
    Shared<D>& shared;
    const Stored* logits;
    Labels<D> labels;

    __device__ __forceinline__ float4& own(int slot, int quad) const {
        return shared.logits[(slot * (kPack / 4) + quad) * kRowBlock<D> + threadIdx.x];
    }
    __device__ __forceinline__ bool holds_scaled() const { return p.softcap != 0.0f && p.classes <= kSegment; }
    __device__ __forceinline__ float held(int slot, int c) const { return component(own(slot, c / 4), c % 4); }
    __device__ __forceinline__ float logit(int slot, int c) const {
        const float value = held(slot, c);
        return holds_scaled() ? capped(p, value) : value;
    }
    __device__ __forceinline__ float label(int64_t k) const { return labels.of(k, 1); }

    __device__ __forceinline__ void keep(int slot, const float (&x)[kPack]) const {
#pragma unroll
        for (int q = 0; q < kPack / 4; q++) {
            own(slot, q) = make_float4(x[4 * q], x[4 * q + 1], x[4 * q + 2], x[4 * q + 3]);
        }
    }

    /* Brings a segment into shared memory; returns the thread's maximum. A NaN is dropped, and said. */
    __device__ __forceinline__ float load(int64_t first, const Packs<D>& packs, bool& has_nan) const {
        const Stored* segment = logits + first;
        const int slots = packs.slots();
        ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 4
        for (int slot = 0; slot < slots; slot++) {
            if (packs.is_whole(slot)) {
                float x[kPack];
                load_pack(D(), segment + packs.first(slot), x);
                keep(slot, x);
            }
        }
        ISOBIT_MAIN_LOOP_END;
        float max = -infinity();
#pragma unroll 1
        for (int slot = 0; slot < slots; slot++) {
            float x[kPack];
            if (packs.is_whole(slot)) {
#pragma unroll
                for (int c = 0; c < kPack; c++) x[c] = held(slot, c);
            } else {
#pragma unroll
                for (int c = 0; c < kPack; c++) {
                    const int k = packs.element(slot, c);
                    x[c] = k < packs.n ? D::widen(segment[k]) : -infinity();
                }
            }
#pragma unroll
            for (int c = 0; c < kPack; c++) {
                /* What is not there stays -inf under a softcap, too. */
                const bool there = packs.element(slot, c) < packs.n;
                const float y = __fmul_rn(x[c], p.scale);
                const float z = there ? capped(p, y) : x[c];
                has_nan |= z != z;
                max = fmaxf(max, z);
                x[c] = there && holds_scaled() ? y : z;
            }
            keep(slot, x);
        }
        return max;
    }

    /* The lowest element of the segment that equals its maximum. */
    __device__ __forceinline__ int find(const Packs<D>& packs, float max) const {
        int lowest = kSegment;
        const int slots = packs.slots();
#pragma unroll 1
        for (int slot = 0; slot < slots; slot++) {
#pragma unroll
            for (int c = 0; c < kPack; c++) {
                const int k = packs.element(slot, c);
                if (k < packs.n && logit(slot, c) == max && k < lowest) lowest = k;
            }
        }
        __syncthreads();
        return static_cast<int>(-block_max(-__int2float_rn(lowest), shared));
    }

    /* That element as the state has it; has_nan: of the thread's own elements. */
    __device__ __forceinline__ float place(const Packs<D>& packs, float max, bool has_nan) const {
        if (!wants_places(p)) return -1.0f;
        const float found = __int2float_rn(find(packs, max));
        __syncthreads();
        return block_max(has_nan ? 1.0f : 0.0f, shared) > 0.0f ? canonical_nan() : found;
    }

    __device__ __forceinline__ SegmentSums sums(int64_t first, const Packs<D>& packs, float max) const {
        SegmentSums s{max, 0, 0.0f, 0.0f, 0.0f, 0.0f};
        const float base = base_of(max);
        int count = 0;
        s.rest = block_sum(packs, shared, [&](int slot, int c, int) {
            const float z = logit(slot, c);
            count += z == max;
            return z == max ? 0.0f : exp_difference(z, base);
        });
        s.count = block_count(count, shared);
        if (has_labels(p)) {
            s.labels = block_sum(packs, shared, [&](int, int, int k) { return label(first + k); });
            s.distances = block_sum(packs, shared, [&](int slot, int c, int k) {
                return distance_term(label(first + k), base, logit(slot, c));
            });
        }
        if (has(p, GENERAL_ENTROPY)) {
            s.entropy = block_sum(packs, shared, [&](int slot, int c, int) {
                const float z = logit(slot, c);
                return distance_term(exp_difference(z, base), base, z);
            });
        }
        return s;
    }

    /* The last segment is the one in work, unless there were saved states. */
    __device__ __forceinline__ void store_log_probabilities(float* to, const Row& row) const {
        const int64_t last = (p.classes - 1) / kSegment;
#pragma unroll 1
        for (int64_t j = last; j >= 0; j--) {
            const int64_t first = j * kSegment;
            const Packs<D> packs(logits + first, length_from(first, p.classes));
            bool has_nan = false;
            if (j < last || p.saved_states != nullptr) load(first, packs, has_nan);
            const bool packed = floats_to_boundary(to + first + packs.head) == 0;
            const int slots = packs.slots();
#pragma unroll 1
            for (int slot = 0; slot < slots; slot++) {
                const bool whole = packs.is_whole(slot);
#pragma unroll
                for (int q = 0; q < kPack / 4; q++) {
                    float value[4];
#pragma unroll
                    for (int c = 0; c < 4; c++) {
                        const int k = packs.element(slot, 4 * q + c);
                        value[c] = row.log_probability(logit(slot, 4 * q + c));
                        if (k < packs.n && (!whole || !packed)) to[first + k] = value[c];
                    }
                    if (whole && packed) store_streaming(to + first + packs.first(slot) + 4 * q, value);
                }
            }
        }
    }
};

/* A block writes one value to n elements, if it is to. */
template <typename D, int kThreads>
__device__ __forceinline__ void fill_unless(bool skipped, typename D::Stored* to, int64_t n, float value) {
    if (!skipped) fill<D, kThreads>(to, n, value, threadIdx.x);
}

template <typename D, bool kGrad>
__device__ __forceinline__ void block_rows(const Params& p) {
    using Stored = typename D::Stored;
    constexpr int kPack = D::kPack;
    constexpr int kThreads = kRowBlock<D>;
    __shared__ __align__(16) Shared<D> shared;
    const Upstream upstream(p, kGrad ? denominator_of<kThreads>(p, shared.lanes) : 1.0);
    nobody_has_arrived(p);
    const bool accumulates = has(p, GENERAL_ACCUMULATE);
    const bool soft = has(p, GENERAL_PROBABILITIES);
    const int64_t segments = segments_of(p.classes);
    const bool is_long = segments > kStates;
    unsigned long long hits = 0;
    for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
        const int64_t offset = row * p.stride;
        const int64_t target = soft ? -1 : target_of(p, row);
        const Kind kind = kind_of(p, target);
        const bool live = kind == Kind::kLive;
        const bool saved = p.saved_states != nullptr;
        const bool is_read = !saved && (live || p.log_probabilities != nullptr || p.states != nullptr);
        const BlockRow<D> block{p, shared, static_cast<const Stored*>(p.logits) + offset, Labels<D>{p, offset}};
        Stored* grad = kGrad ? static_cast<Stored*>(p.grad_logits) + offset : nullptr;
        float max = -infinity();
        int64_t argmax = -1;
        bool has_nan = false;
        /* States are joined when the maximum is known; more than there is room for take a pass of their own for it. */
        if (is_read) {
#pragma unroll 1
            for (int64_t j = 0; j < segments; j++) {
                const Packs<D> packs(block.logits + j * kSegment, length_from(j * kSegment, p.classes));
                bool nan_here = false;
                const float mine = block.load(j * kSegment, packs, nan_here);
                has_nan |= nan_here;
                __syncthreads();
                const float segment_max = block_max(mine, shared);
                if (has(p, GENERAL_PLACES) && live && (segment_max > max || argmax < 0)) {
                    argmax = j * kSegment + block.find(packs, segment_max);
                }
                max = fmaxf(max, segment_max);
                if (!is_long) {
                    const float place = block.place(packs, segment_max, nan_here);
                    const SegmentSums s = block.sums(j * kSegment, packs, segment_max);
                    if (threadIdx.x == 0) {
                        shared.states[j] = s;
                        keep_state(p, row, j, s, place);
                    }
                }
            }
            __syncthreads();
            has_nan = block_max(has_nan ? 1.0f : 0.0f, shared) > 0.0f;
            if (has_nan) argmax = -1;
        }
        if (saved) {
            max = saved_max(p, row, has_nan);
            if (has(p, GENERAL_PLACES) && live) argmax = saved_argmax(p, row);
        }
        if (threadIdx.x == 0) hits += argmax >= 0 && argmax == target;
        const bool valid = !has_nan && fabsf(max) < infinity();
        __syncthreads();
        Row sums(max);
        if (valid || (is_long && p.states != nullptr)) {
            const int64_t joined = saved ? segments_of(p.all_classes) : segments;
#pragma unroll 1
            for (int64_t j = 0; j < joined; j++) {
                if (saved) {
                    sums.join(saved_sums(p, row, j));
                } else if (is_long) {
                    const Packs<D> packs(block.logits + j * kSegment, length_from(j * kSegment, p.classes));
                    bool nan_here = false;
                    const float mine = block.load(j * kSegment, packs, nan_here);
                    __syncthreads();
                    const float segment_max = block_max(mine, shared);
                    const float place = block.place(packs, segment_max, nan_here);
                    const SegmentSums s = block.sums(j * kSegment, packs, segment_max);
                    if (threadIdx.x == 0) keep_state(p, row, j, s, place);
                    sums.join(s);
                } else {
                    sums.join(shared.states[j]);
                }
            }
            sums.finish();
        }
        const Target own(p, row, target, live, [&](int64_t k) { return effective(p, D::widen(block.logits[k])); });
        if (kGrad) __syncthreads(); /* grad_logits may be logits */
        if (p.log_probabilities != nullptr) {
            float* to = p.log_probabilities + offset;
            fill_unless<F32, kThreads>(false, to + p.classes, p.stride - p.classes, -infinity());
            fill_unless<F32, kThreads>(valid, to, p.classes, canonical_nan());
            if (valid) block.store_log_probabilities(to, sums);
        }
        if (threadIdx.x == 0 && p.target_logits != nullptr) p.target_logits[row] = canonical(own.logit);
        if (kGrad) fill_unless<D, kThreads>(accumulates, grad + p.classes, p.stride - p.classes, 0.0f);
        if (!live || !valid) {
            if (threadIdx.x == 0) store_results_without_sums(p, row, kind, argmax);
            if (kGrad) {
                /* Log-probabilities may just have read logits that another thread writes over. */
                if (p.log_probabilities != nullptr) __syncthreads();
                const bool ignored = kind == Kind::kIgnored;
                const float value = ignored ? 0.0f : canonical_nan();
                fill_unless<D, kThreads>(ignored && accumulates, grad, p.classes, value);
            }
            continue;
        }
        const Scalars scalars(p, target);
        if (threadIdx.x == 0) {
            store_results(p, row, scalars.loss(sums, own.logit, weight_of(p, row)), __double2float_rn(sums.lse()),
                          sums.entropy(), argmax);
        }
        if (kGrad) {
            Gradient gradient(p, scalars, sums, upstream.of(p, row), own.own, own.logit);
#pragma unroll 1
            for (int64_t j = segments - 1; j >= 0; j--) {
                const int64_t first = j * kSegment;
                const Packs<D> packs(block.logits + first, length_from(first, p.classes));
                float segment_max = saved     ? saved_max(p, row, p.first_class / kSegment + j)
                                    : is_long ? 0.0f
                                              : shared.states[j].max;
                if (is_long && !saved) {
                    const float mine = block.load(first, packs, has_nan);
                    __syncthreads();
                    segment_max = block_max(mine, shared);
                }
                gradient.segment(segment_max);
                /* Whether this segment's scaled logits are still in shared memory. */
                const bool is_held =
                    !saved && (segments == 1 || (p.softcap == 0.0f &&
                                                 (is_long || (j == segments - 1 && p.log_probabilities == nullptr))));
                const bool packed = elements_to_boundary<D>(grad + first) == packs.head;
                const int slots = packs.slots();
#pragma unroll 1
                for (int slot = 0; slot < slots; slot++) {
                    const bool whole = packs.is_whole(slot);
                    const int at = packs.first(slot);
                    float g[kPack];
#pragma unroll
                    for (int c = 0; c < kPack; c++) g[c] = 0.0f;
                    if (whole && !is_held) load_pack(D(), block.logits + first + at, g);
#pragma unroll
                    for (int c = 0; c < kPack; c++) {
                        const int k = packs.element(slot, c);
                        if (k < packs.n) {
                            const float y = is_held
                                                ? block.held(slot, c)
                                                : __fmul_rn(whole ? g[c] : D::widen(block.logits[first + k]), p.scale);
                            const float previous = accumulates ? D::widen(grad[first + k]) : 0.0f;
                            const float label = scalars.labels ? block.label(first + k) : 0.0f;
                            g[c] = gradient.of(first + k, y, label, previous);
                            if (!whole || !packed) grad[first + k] = D::narrow(g[c]);
                        }
                    }
                    if (whole && packed) store_pack(D(), grad + first + at, g);
                }
            }
        }
        __syncthreads(); /* the next row overwrites states that this one still reads */
    }
    if (threadIdx.x == 0) add_hits(p, hits);
}

/* -------------------------------------------------------------------------------------------------- sums over the rows */

/* The sums of the segments of `rows` values go to parts. */
template <typename Value>
__device__ __forceinline__ void sum_segments(const Params& p, float* lanes, float* parts, Value value) {
    static_assert(4 * kBlock == kLanes, "a thread has four lanes");
    const int64_t segments = segments_of(p.rows);
    for (int64_t j = blockIdx.x; j < segments; j += gridDim.x) {
        const int n = length_from(j * kSegment, p.rows);
        float lane[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll 1
        for (int at = 4 * threadIdx.x; at < n; at += kLanes) {
#pragma unroll
            for (int c = 0; c < 4; c++) {
                if (at + c < n) lane[c] = __fadd_rn(lane[c], value(j * kSegment + at + c));
            }
        }
        reinterpret_cast<float4*>(lanes)[threadIdx.x] = make_float4(lane[0], lane[1], lane[2], lane[3]);
        __syncthreads();
        if (threadIdx.x < 32) {
            const float sum = fold_shared(lanes, threadIdx.x);
            if (threadIdx.x == 0) parts[j] = sum;
        }
        __syncthreads();
    }
}

/* The sums of the segments of the rows' weights, and no hits so far. */
__device__ __forceinline__ void begin(const Params& p) {
    __shared__ __align__(16) float lanes[kLanes];
    if (p.hits != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *p.hits = 0;
    if (!has(p, GENERAL_SUMMED_DENOMINATOR)) return;
    sum_segments(p, lanes, p.weight_parts, [&](int64_t row) {
        const int64_t target = target_of(p, row);
        return kind_of(p, target) == Kind::kLive ? __fmul_rn(weight_of(p, row), class_weight(p, target)) : 0.0f;
    });
}

/* Blocks sum segments of row losses; the one that comes last joins them. The row launch before this one has set `arrivals`
 * to 0, so that nothing is left over from a launch that broke off; without rows there is one block. */
__device__ __forceinline__ void reduce(const Params& p) {
    __shared__ __align__(16) float lanes[kLanes];
    __shared__ bool is_last;
    sum_segments(p, lanes, p.loss_parts, [&](int64_t row) { return p.row_loss[row]; });
    if (gridDim.x > 1) {
        if (threadIdx.x == 0) {
            __threadfence();
            is_last = atomicAdd(p.arrivals, 1u) == gridDim.x - 1;
            __threadfence();
        }
        __syncthreads();
        if (!is_last) return;
    }
    const double denominator = denominator_of<kBlock>(p, lanes);
    const double total = join<kBlock>(p, p.loss_parts, lanes);
    if (threadIdx.x == 0) {
        double result = total;
        if (has(p, GENERAL_MEAN)) {
            result = denominator == 0.0 ? 0.0 : __ddiv_rn(total, denominator);
        }
        *p.loss = canonical(__double2float_rn(result));
    }
}

} // namespace cross_entropy_general
} // namespace isobit
