/*
 * Binary cross-entropy with logits over elements of any shape: loss, gradient of the logits, probabilities. Logits and
 * gradient float32, BF16 or F16; the rest float32.
 *
 *   e = exp(-|x|)    l = log1p(e)    q = 1/(1 + e)    r = e·q
 *   c0 = w·((1 - t)·keep + half)     c1 = w·(p·(t·keep + half))
 *   loss     = c0·(max(x, 0) + l) + c1·(max(-x, 0) + l)          0·inf is 0
 *   sigmoid  = x >= 0 ? q : r
 *   gradient = (c0·sigmoid - c1·(x >= 0 ? r : q))·a              a = upstream (/ denominator with MEAN)
 *
 * The focal loss, near and far the smoothed labels of the likelier side and of the other, b = |x| + l:
 *
 *   plain = near·l + far·b    miss = near·r + far·q    v = far == 0 ? 1/near : e/(near·e + far)
 *   loss  = w·alpha_t·miss^gamma·plain
 *   g     = w·alpha_t·miss^gamma·(far·q - near·r + gamma·v·q·(far - near)·plain), -g where x < 0, times a
 *
 * NUMERICS.md gives the order of every operation; bce_with_logits_params.h the arguments, launches and who writes what. Loss and
 * gradient of an element that is ignored are +0. A block takes a
 * segment of 8192 elements at a time, a thread as many neighbours of it as 128 bits of logits hold, so that its sums are
 * lanes (lanes.cuh); the block that comes last joins the sums of the segments.
 *
 * Memory moved: logits and targets read once, gradient written once: 12 bytes an element, 6 of 16 bits, and 4 for each of
 * weights, pos_weight, grad_loss, loss and sigmoid that has an element for each. 128-bit accesses where arrays have a
 * boundary of 16 bytes at the first element at which the logits have one. Targets of a byte or a bit and masks are
 * read byte by byte. A weight that repeats is read by index, mostly from cache.
 *
 * Aliasing: grad_logits may be logits. A thread writes only elements that it alone reads, after it has read them.
 */
#pragma once

#include "bce_with_logits_params.h"
#include "exact_math.cuh"
#include "lanes.cuh"
#include "mean.cuh"
#include "packed_io.cuh"

namespace isobit {
namespace bce_with_logits {

constexpr int kBlock = 256; /* of weigh and begin */
constexpr int kSegment = BCE_SEGMENT;

/* Of elements: a lane has one thread. */
template <typename T>
constexpr int kElementsBlock = kLanes / T::kPack;

/* log1p of e in [0, 1], or NaN: exact_log1p without the branches that such an e cannot take. u = 1 + e. */
__device__ __forceinline__ float log1p_of_unit(float e, float u) {
    const bool far = e >= kLog1pNearEnd;
    const float c = far ? __fdiv_rn(__fsub_rn(e, __fsub_rn(u, 1.0f)), u) : 0.0f;
    return log_parts(far ? __fsub_rn(__fmul_rn(u, 0.5f), 1.0f) : e, c, far ? 1.0f : 0.0f);
}

/* a·b, where 0 wins over infinity but not over NaN. */
__device__ __forceinline__ bool is_zero_by_infinity(float a, float b) {
    return (a == 0.0f && fabsf(b) == infinity()) || (b == 0.0f && fabsf(a) == infinity());
}

__device__ __forceinline__ float product(float a, float b) {
    return is_zero_by_infinity(a, b) ? 0.0f : __fmul_rn(a, b);
}

__device__ __forceinline__ float product_sum(float a, float b, float c) {
    return is_zero_by_infinity(a, b) ? c : __fmaf_rn(a, b, c);
}

template <bool kCareful>
__device__ __forceinline__ float product_of(float a, float b) {
    return kCareful ? product(a, b) : __fmul_rn(a, b);
}

template <bool kCareful>
__device__ __forceinline__ float product_sum_of(float a, float b, float c) {
    return kCareful ? product_sum(a, b, c) : __fmaf_rn(a, b, c);
}

/* y times a power of 1 - p_t, which is never formed by itself: it may lie below the normal range where the product does not. */
template <bool kCareful>
__device__ __forceinline__ float powered(float y, float miss, int halves) {
    if ((halves & 1) != 0) y = product_of<kCareful>(y, __fsqrt_rn(miss));
#pragma unroll 1
    for (int rest = halves >> 1; rest > 0; rest--) y = product_of<kCareful>(y, miss);
    return y;
}

/* One element: what is read, and what becomes of it. */
struct Element {
    float logit;
    float target;
    bool live;
    float pos_weight;
    float weight;
    float upstream;
    float loss;
    float gradient;
    float sigmoid;

    /* Of the focal loss: the loss, and the gradient before its upstream. */
    template <bool kCareful, bool kGrad>
    __device__ __forceinline__ void focal(const bce_with_logits_params& p, float rest, float part, float e, float l,
                                          float q, float r) {
        const bool right = logit >= 0.0f;
        const float near = right ? part : rest;
        const float far = right ? rest : part;
        const float b = __fadd_rn(fabsf(logit), l);
        const float plain = product_sum_of<kCareful>(near, l, product_of<kCareful>(far, b));
        const float miss = product_sum_of<kCareful>(near, r, product_of<kCareful>(far, q));
        const float alpha = product_sum_of<kCareful>(part, p.focal_alpha, product_of<kCareful>(rest, p.focal_rest));
        loss =
            product_of<kCareful>(weight, product_of<kCareful>(alpha, powered<kCareful>(plain, miss, p.focal_halves)));
        if (kGrad) {
            const float v =
                __fdiv_rn(far == 0.0f ? 1.0f : e, far == 0.0f ? near : product_sum_of<kCareful>(near, e, far));
            const float straight = product_sum_of<kCareful>(far, q, -product_of<kCareful>(near, r));
            const float slope = product_of<kCareful>(p.focal_gamma, product_of<kCareful>(v, q));
            const float change = product_of<kCareful>(slope, product_of<kCareful>(__fsub_rn(far, near), plain));
            const float both = powered<kCareful>(__fadd_rn(straight, change), miss, p.focal_halves);
            const float g = product_of<kCareful>(weight, product_of<kCareful>(alpha, both));
            gradient = right ? g : -g;
        }
    }

    template <bool kLoss, bool kGrad, bool kFocal>
    __device__ __forceinline__ void compute(const bce_with_logits_params& p) {
        const float x = logit;
        const float rest = __fmaf_rn(__fsub_rn(1.0f, target), p.keep, p.half);
        const float part = __fmaf_rn(target, p.keep, p.half);
        float c0 = __fmul_rn(weight, rest);
        float c1 = __fmul_rn(weight, __fmul_rn(pos_weight, part));
        const float minus = -fabsf(x);
        const float e = minus < kExpZeroBelow ? 0.0f : exp_parts(minus, 0.0f, kExpMagic, kExpLast);
        const float u = __fadd_rn(1.0f, e);
        const float q = __fdiv_rn(1.0f, u);
        const float r = __fmul_rn(e, q);
        const bool right = x >= 0.0f;
        const float up = right ? q : r;
        const float down = right ? r : q;
        float softplus = 0.0f;
        float softplus_minus = 0.0f;
        sigmoid = canonical(up);
        loss = 0.0f;
        gradient = 0.0f;
        if (kFocal) {
            const float l = log1p_of_unit(e, u);
            focal<false, kGrad>(p, rest, part, e, l, q, r);
            if (loss != loss || gradient != gradient) {
                focal<true, kGrad>(p, rest, part, e, l, q, r);
                loss = canonical(loss);
            }
            if (kGrad) gradient = __fmul_rn(gradient, upstream);
            if (!live) {
                loss = 0.0f;
                gradient = 0.0f;
            }
            return;
        }
        if (kLoss) {
            const float l = log1p_of_unit(e, u);
            softplus = __fadd_rn(x > 0.0f ? x : 0.0f, l);
            softplus_minus = __fadd_rn(x < 0.0f ? -x : 0.0f, l);
            loss = __fmaf_rn(c0, softplus, __fmul_rn(c1, softplus_minus));
        }
        if (kGrad) gradient = __fmaf_rn(c0, up, -__fmul_rn(c1, down));
        if (loss != loss || gradient != gradient) {
            /* Maybe a product of 0 and infinity: once more, with care. */
            c0 = product(weight, rest);
            c1 = product(weight, product(pos_weight, part));
            if (kLoss) loss = canonical(product_sum(c0, softplus, product(c1, softplus_minus)));
            if (kGrad) gradient = product_sum(c0, up, -product(c1, down));
        }
        if (kGrad) gradient = __fmul_rn(gradient, upstream); /* a NaN becomes canonical where it is stored */
        if (!live) {
            loss = 0.0f;
            gradient = 0.0f;
        }
    }
};

__device__ __forceinline__ int64_t group_index(const bce_with_logits_group& group, int64_t i, bool wide) {
    if (group.stride == 0) return 0;
    if (wide) return i / group.inner % group.size * group.stride;
    const uint32_t at = static_cast<uint32_t>(i) / static_cast<uint32_t>(group.inner);
    return static_cast<int64_t>(at % static_cast<uint32_t>(group.size)) * group.stride;
}

/* An array with one value for each element, or one that repeats, or one value for all. */
template <typename T>
struct Spread {
    const T* values;
    const bce_with_logits_axes& axes;
    bool full;
    bool scalar;
    bool wide;
    float common; /* where it is a scalar */

    __device__ __forceinline__ Spread(const T* values, const bce_with_logits_axes& axes, bool full, bool wide)
        : values(values), axes(axes), full(full), scalar(values == nullptr || (!full && axes.group0.stride == 0)),
          wide(wide), common(values == nullptr ? 1.0f
                             : scalar          ? static_cast<float>(values[0])
                                               : 0.0f) {}

    __device__ __forceinline__ float at(int64_t i) const {
        if (scalar) return common;
        const int64_t index = full ? i
                                   : group_index(axes.group0, i, wide) + group_index(axes.group1, i, wide) +
                                         group_index(axes.group2, i, wide) + group_index(axes.group3, i, wide);
        return static_cast<float>(values[index]);
    }
};

struct Weights : Spread<float> {
    using Spread<float>::Spread;

    /* Whether neighbours are whole accesses, or none, for a thread whose elements start `head` from a boundary. */
    __device__ __forceinline__ bool is_packed(int head) const {
        return scalar || (full && floats_to_boundary(values) == (head & 3));
    }

    template <int kCount>
    __device__ __forceinline__ void load_packed(int64_t i, float (&v)[kCount]) const {
#pragma unroll
        for (int c = 0; c < kCount; c += 4) {
            float4 x = make_float4(common, common, common, common);
            if (!scalar) x = *reinterpret_cast<const float4*>(values + i + c);
            v[c] = x.x;
            v[c + 1] = x.y;
            v[c + 2] = x.z;
            v[c + 3] = x.w;
        }
    }

    template <int kCount>
    __device__ __forceinline__ void load(int64_t i, int head, float (&v)[kCount]) const {
        if (is_packed(head)) {
            load_packed(i, v);
        } else {
#pragma unroll
            for (int c = 0; c < kCount; c++) v[c] = at(i + c);
        }
    }
};

__device__ __forceinline__ Weights pos_weight_of(const bce_with_logits_params& p) {
    return Weights(p.pos_weight, p.pos_weight_axes, (p.flags & BCE_POS_WEIGHT_FULL) != 0,
                   (p.flags & BCE_WIDE_INDEX) != 0);
}

__device__ __forceinline__ Weights weights_of(const bce_with_logits_params& p) {
    return Weights(p.weights, p.weights_axes, (p.flags & BCE_WEIGHTS_FULL) != 0, (p.flags & BCE_WIDE_INDEX) != 0);
}

/* Targets, and which elements are ignored. */
template <typename T>
struct Targets {
    using Stored = typename T::Stored;

    const void* values;
    bool bytes;
    bool bits; /* of bytes */
    bool narrow;
    bool has_ignore_value;
    float ignore_value;
    Spread<uint8_t> mask;

    __device__ __forceinline__ explicit Targets(const bce_with_logits_params& p)
        : values(p.targets), bytes((p.flags & BCE_TARGETS_U8) != 0), bits((p.flags & BCE_TARGETS_BITS) != 0),
          narrow(T::kPack > 4 && (p.flags & BCE_TARGETS_NARROW) != 0),
          has_ignore_value((p.flags & BCE_IGNORE_VALUE) != 0), ignore_value(p.ignore_value),
          mask(p.mask, p.mask_axes, (p.flags & BCE_MASK_FULL) != 0, (p.flags & BCE_WIDE_INDEX) != 0) {}

    __device__ __forceinline__ const float* floats() const { return static_cast<const float*>(values); }
    __device__ __forceinline__ const Stored* stored() const { return static_cast<const Stored*>(values); }

    __device__ __forceinline__ float at(int64_t i) const {
        if (bytes) {
            const int64_t at = bits ? i >> 3 : i;
            const uint32_t byte = static_cast<const uint8_t*>(values)[at];
            return static_cast<float>(bits ? byte >> (i & 7) & 1u : byte);
        }
        return narrow ? T::widen(stored()[i]) : floats()[i];
    }

    __device__ __forceinline__ bool is_ignored(float target) const {
        return has_ignore_value && target == ignore_value;
    }

    __device__ __forceinline__ bool is_live(int64_t i, float target) const {
        return mask.at(i) != 0.0f && !is_ignored(target);
    }
};

/* Whether an array's boundaries are where they have to be for a thread whose elements start `head` from one. */
__device__ __forceinline__ bool is_packed(const float* p, int head) { return floats_to_boundary(p) == (head & 3); }

/* Neighbours, in whole accesses where the array has boundaries where the logits have them. */
template <bool kPacked, int kCount>
__device__ __forceinline__ void load(const float* p, int64_t i, int head, float (&v)[kCount]) {
    if (kPacked || is_packed(p, head)) {
#pragma unroll
        for (int c = 0; c < kCount; c += 4) {
            const float4 x = *reinterpret_cast<const float4*>(p + i + c);
            v[c] = x.x;
            v[c + 1] = x.y;
            v[c + 2] = x.z;
            v[c + 3] = x.w;
        }
    } else {
#pragma unroll
        for (int c = 0; c < kCount; c++) v[c] = p[i + c];
    }
}

template <bool kPacked, int kCount>
__device__ __forceinline__ void store(float* p, int64_t i, int head, const float (&v)[kCount]) {
    if (kPacked || is_packed(p, head)) {
#pragma unroll
        for (int c = 0; c < kCount; c += 4) store_streaming(p + i + c, {v[c], v[c + 1], v[c + 2], v[c + 3]});
    } else {
#pragma unroll
        for (int c = 0; c < kCount; c++) p[i + c] = v[c];
    }
}

/* One of an array's elements by an index that registers do not have. */
template <int kCount>
__device__ __forceinline__ float pick(const float (&v)[kCount], int at) {
    float value = v[0];
#pragma unroll
    for (int c = 1; c < kCount; c++) value = at == c ? v[c] : value;
    return value;
}

template <int kCount>
__device__ __forceinline__ void put(float (&v)[kCount], int at, float value) {
#pragma unroll
    for (int c = 0; c < kCount; c++) v[c] = at == c ? value : v[c];
}

/* What all elements of a launch have in common. */
template <typename T, bool kLoss, bool kGrad, bool kFocal>
struct Elements {
    using Stored = typename T::Stored;
    static constexpr int kPack = T::kPack;
    static constexpr int kStep = kLanes;

    const bce_with_logits_params& p;
    const Stored* logits;
    Stored* grad_logits;
    Targets<T> targets;
    Weights pos_weight;
    Weights weights;
    const float* upstreams; /* null: `upstream` for every element */
    float upstream;
    float* losses; /* null: not stored */
    int head;      /* elements before the first 16-byte boundary of every segment of the logits */
    bool packed;   /* all arrays have boundaries where the logits have them */

    __device__ __forceinline__ Elements(const bce_with_logits_params& p, double denominator)
        : p(p), logits(static_cast<const Stored*>(p.logits)), grad_logits(static_cast<Stored*>(p.grad_logits)),
          targets(p), pos_weight(pos_weight_of(p)), weights(weights_of(p)),
          upstreams(kGrad && (p.flags & BCE_GRAD_LOSS_PER_ELEMENT) != 0 ? p.grad_loss : nullptr), upstream(1.0f),
          losses(kLoss && (p.flags & BCE_LOSS_PER_ELEMENT) != 0 ? p.loss : nullptr),
          head(elements_to_boundary<T>(logits)) {
        if (kGrad && upstreams == nullptr) {
            const float a = p.grad_loss == nullptr ? 1.0f : *p.grad_loss;
            upstream = __double2float_rn(__ddiv_rn(static_cast<double>(a), denominator));
        }
        packed = !targets.bytes && targets.mask.scalar && are_targets_packed() && pos_weight.is_packed(head) &&
                 weights.is_packed(head) && (upstreams == nullptr || is_packed(upstreams, head)) &&
                 (losses == nullptr || is_packed(losses, head)) &&
                 (!kGrad || elements_to_boundary<T>(grad_logits) == head) &&
                 (p.sigmoid == nullptr || is_packed(p.sigmoid, head));
    }

    __device__ __forceinline__ bool are_targets_packed() const {
        return targets.narrow ? elements_to_boundary<T>(targets.stored()) == head : is_packed(targets.floats(), head);
    }

    template <bool kPacked>
    __device__ __forceinline__ void load_targets(int64_t i, float (&t)[kPack]) const {
        if (targets.narrow && (kPacked || are_targets_packed())) {
            load_pack(T(), targets.stored() + i, t);
        } else if (kPacked || !(targets.bytes || targets.narrow)) {
            load<kPacked>(targets.floats(), i, head, t);
        } else {
#pragma unroll
            for (int c = 0; c < kPack; c++) t[c] = targets.at(i + c);
        }
    }

    /* Neighbours, as many as 128 bits of logits hold; adds their losses to the thread's lanes. */
    template <bool kPacked>
    __device__ __forceinline__ void pack(int64_t i, float (&lane)[kPack]) const {
        float x[kPack], t[kPack], positive[kPack], w[kPack], a[kPack];
        bool live[kPack];
        load_pack(T(), logits + i, x);
        load_targets<kPacked>(i, t);
#pragma unroll
        for (int c = 0; c < kPack; c++) {
            a[c] = upstream;
            live[c] = kPacked ? targets.mask.common != 0.0f && !targets.is_ignored(t[c]) : targets.is_live(i + c, t[c]);
        }
        if (kPacked) {
            pos_weight.load_packed(i, positive);
            weights.load_packed(i, w);
        } else {
            pos_weight.load(i, head, positive);
            weights.load(i, head, w);
        }
        if (upstreams != nullptr) load<kPacked>(upstreams, i, head, a);
        float loss[kPack], gradient[kPack], sigmoid[kPack];
#pragma unroll
        for (int c = 0; c < kPack; c++) {
            Element element{x[c], t[c], live[c], positive[c], w[c], a[c]};
            element.compute<kLoss, kGrad, kFocal>(p);
            loss[c] = element.loss;
            gradient[c] = element.gradient;
            sigmoid[c] = element.sigmoid;
            if (kLoss) lane[c] = __fadd_rn(lane[c], element.loss);
        }
        if (kGrad && (kPacked || elements_to_boundary<T>(grad_logits) == head)) {
            store_pack(T(), grad_logits + i, gradient);
        } else if (kGrad) {
#pragma unroll
            for (int c = 0; c < kPack; c++) grad_logits[i + c] = T::narrow(gradient[c]);
        }
        if (losses != nullptr) store<kPacked>(losses, i, head, loss);
        if (p.sigmoid != nullptr) store<kPacked>(p.sigmoid, i, head, sigmoid);
    }

    /* One element of a head or tail. */
    __device__ __forceinline__ void single(int64_t i, float& lane) const {
        const float target = targets.at(i);
        Element element{T::widen(logits[i]), target,        targets.is_live(i, target),
                        pos_weight.at(i),    weights.at(i), upstreams == nullptr ? upstream : upstreams[i]};
        element.compute<kLoss, kGrad, kFocal>(p);
        if (kLoss) lane = __fadd_rn(lane, element.loss);
        if (kGrad) grad_logits[i] = T::narrow(element.gradient);
        if (losses != nullptr) losses[i] = element.loss;
        if (p.sigmoid != nullptr) p.sigmoid[i] = element.sigmoid;
    }

    /* A thread's share of the segment of n elements from `base` on, in rising order: an element of the head, which stands
     * at the end of the circle of lanes, whole packs, an element of the tail. */
    __device__ __forceinline__ void segment(int64_t base, int n, float (&lane)[kPack]) const {
        const int thread = threadIdx.x;
        if (thread == kElementsBlock<T> - 1) {
#pragma unroll 1
            for (int e = 0; e < head && e < n; e++) {
                float loss = pick(lane, e + kPack - head);
                single(base + e, loss);
                put(lane, e + kPack - head, loss);
            }
        }
        int at = head + kPack * thread;
        if (packed) {
            ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 1
            for (; at + kPack - 1 < n; at += kStep) pack<true>(base + at, lane);
            ISOBIT_MAIN_LOOP_END;
        } else {
#pragma unroll 1
            for (; at + kPack - 1 < n; at += kStep) pack<false>(base + at, lane);
        }
#pragma unroll 1
        for (int c = 0; c < kPack - 1 && at + c < n; c++) {
            float loss = pick(lane, c);
            single(base + at + c, loss);
            put(lane, c, loss);
        }
    }
};

__device__ __forceinline__ int64_t segments_of(const bce_with_logits_params& p) {
    return (p.count + kSegment - 1) / kSegment;
}

__device__ __forceinline__ int length_of(const bce_with_logits_params& p, int64_t segment) {
    const int64_t rest = p.count - segment * kSegment;
    return rest < kSegment ? static_cast<int>(rest) : kSegment;
}

/* Two sets of lanes by turns: while a warp folds one, the others are at the next segment. */
struct SegmentSums {
    float lanes[2][kLanes];

    /* The sum of what the block's threads have in their lanes goes to *sum. One barrier. */
    template <int kCount>
    __device__ __forceinline__ void fold(int turn, const float (&lane)[kCount], float* sum) {
        constexpr int kWarps = kLanes / kCount / 32;
        float4* mine = reinterpret_cast<float4*>(lanes[turn & 1]) + threadIdx.x * (kCount / 4);
#pragma unroll
        for (int c = 0; c < kCount; c += 4) mine[c / 4] = make_float4(lane[c], lane[c + 1], lane[c + 2], lane[c + 3]);
        __syncthreads();
        if (threadIdx.x / 32 == (turn & (kWarps - 1))) {
            const float folded = fold_shared(lanes[turn & 1], threadIdx.x & 31);
            if ((threadIdx.x & 31) == 0) *sum = folded;
        }
    }
};

/* Joins the sums of all segments in rising order, in float64. Thread 0 gets the result. */
template <int kThreads>
__device__ __forceinline__ double join(const float* parts, int64_t segments, float* shared) {
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

template <typename T, bool kLoss, bool kGrad, bool kFocal = false>
__device__ __forceinline__ void elements(const bce_with_logits_params& p) {
    __shared__ __align__(16) SegmentSums sums;
    __shared__ bool is_last;
    const bool mean = (p.flags & BCE_MEAN) != 0;
    const bool summed = (p.flags & BCE_SUMMED_DENOMINATOR) != 0;
    const double denominator = !mean ? 1.0 : summed ? *p.denominator : __ll2double_rn(p.count);
    const Elements<T, kLoss, kGrad, kFocal> all(p, denominator);
    const int64_t segments = segments_of(p);
    int turn = 0;
    for (int64_t j = blockIdx.x; j < segments; j += gridDim.x) {
        float lane[T::kPack] = {};
        all.segment(j * kSegment, length_of(p, j), lane);
        if (kLoss && p.loss_parts != nullptr) sums.fold(turn++, lane, p.loss_parts + j);
    }
    if (kLoss && p.loss_parts != nullptr) {
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            is_last = atomicAdd(p.arrivals, 1u) == gridDim.x - 1;
            __threadfence();
        }
        __syncthreads();
        if (!is_last) return;
        const double total = join<kElementsBlock<T>>(p.loss_parts, segments, sums.lanes[0]);
        if (threadIdx.x == 0) {
            *p.loss = canonical(__double2float_rn(mean ? __ddiv_rn(total, denominator) : total));
        }
    }
}

/* What an element adds to the denominator. */
template <typename T>
struct Shares {
    Targets<T> targets;
    Weights weights;
    bool weighted;
    bool all; /* none is ignored */

    __device__ __forceinline__ explicit Shares(const bce_with_logits_params& p)
        : targets(p), weights(weights_of(p)), weighted((p.flags & BCE_WEIGHTED_MEAN) != 0),
          all(p.mask == nullptr && !targets.has_ignore_value) {}

    __device__ __forceinline__ float at(int64_t i) const {
        if (!all && !targets.is_live(i, targets.has_ignore_value ? targets.at(i) : 0.0f)) return 0.0f;
        return weighted ? weights.at(i) : 1.0f;
    }
};

/* Sums the denominator's share of every segment. */
template <typename T>
__device__ __forceinline__ void weigh(const bce_with_logits_params& p) {
    __shared__ __align__(16) SegmentSums sums;
    const Shares<T> shares(p);
    const int64_t segments = segments_of(p);
    int turn = 0;
    for (int64_t j = blockIdx.x; j < segments; j += gridDim.x) {
        const int n = length_of(p, j);
        float lane[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int at = 4 * threadIdx.x; at < n; at += 4 * kBlock) {
            float share[4] = {0.0f, 0.0f, 0.0f, 0.0f};
            if (shares.all && shares.weighted && at + 3 < n) {
                shares.weights.load(j * kSegment + at, 0, share);
            } else {
#pragma unroll
                for (int c = 0; c < 4; c++) {
                    if (at + c < n) share[c] = shares.at(j * kSegment + at + c);
                }
            }
#pragma unroll
            for (int c = 0; c < 4; c++) lane[c] = __fadd_rn(lane[c], share[c]);
        }
        sums.fold(turn++, lane, p.weight_parts + j);
    }
}

/* One block: the denominator, and nobody has arrived. */
__device__ __forceinline__ void begin(const bce_with_logits_params& p) {
    __shared__ float shared[kLanes];
    if ((p.flags & BCE_SUMMED_DENOMINATOR) != 0) {
        const double total = join<kBlock>(p.weight_parts, segments_of(p), shared);
        if (threadIdx.x == 0) *p.denominator = nan_for_zero(total);
    }
    if (p.arrivals != nullptr && threadIdx.x == 0) *p.arrivals = 0;
}

} // namespace bce_with_logits
} // namespace isobit
