/*
 * Binary cross-entropy with logits, float32, over elements of any shape: loss, gradient of the logits, probabilities.
 *
 *   e = exp(-|x|)    l = log1p(e)    q = 1/(1 + e)    r = e·q
 *   c0 = w·((1 - t)·keep + half)     c1 = w·(p·(t·keep + half))
 *   loss     = c0·(max(x, 0) + l) + c1·(max(-x, 0) + l)          0·inf is 0
 *   sigmoid  = x >= 0 ? q : r
 *   gradient = (c0·sigmoid - c1·(x >= 0 ? r : q))·a              a = upstream (/ denominator with MEAN)
 *
 * NUMERICS.md gives the order of every operation; params.h the arguments, launches and who writes what. Loss and
 * gradient of an element that is ignored are +0. A block takes a
 * segment of 8192 elements at a time, a thread four neighbours of it, so that its four sums are lanes (lanes.cuh); the
 * block that comes last joins the sums of the segments.
 *
 * Memory moved: logits and targets read once, gradient written once: 12 bytes an element, and 4 for each of weights,
 * pos_weight, grad_loss, loss and sigmoid that has an element for each. 128-bit accesses where an array of floats starts
 * as far from a 16-byte boundary as the logits do. Targets of a byte and masks are read byte by byte. A weight that repeats is read by index, mostly from cache.
 *
 * Aliasing: grad_logits may be logits. A thread writes only elements that it alone reads, after it has read them.
 */
#pragma once

#include "exact_math.cuh"
#include "lanes.cuh"
#include "packed_io.cuh"
#include "params.h"

namespace isobit {
namespace bce_with_logits {

constexpr int kBlock = 256;
constexpr int kBlockWarps = kBlock / 32;
constexpr int kSegment = BCE_SEGMENT;
constexpr int kStep = 4 * kBlock;

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

    template <bool kLoss, bool kGrad>
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
        if (kGrad) gradient = canonical(__fmul_rn(gradient, upstream));
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

    /* Whether four neighbours are one access, or none, for a thread whose elements start `head` from a boundary. */
    __device__ __forceinline__ bool is_packed(int head) const {
        return scalar || (full && floats_to_boundary(values) == head);
    }

    __device__ __forceinline__ void load_packed(int64_t i, float (&v)[4]) const {
        float4 x = make_float4(common, common, common, common);
        if (!scalar) x = *reinterpret_cast<const float4*>(values + i);
        v[0] = x.x;
        v[1] = x.y;
        v[2] = x.z;
        v[3] = x.w;
    }

    __device__ __forceinline__ void load(int64_t i, int head, float (&v)[4]) const {
        if (is_packed(head)) {
            load_packed(i, v);
        } else {
#pragma unroll
            for (int c = 0; c < 4; c++) v[c] = at(i + c);
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
struct Targets {
    const void* values;
    bool narrow;
    bool has_ignore_value;
    float ignore_value;
    Spread<uint8_t> mask;

    __device__ __forceinline__ explicit Targets(const bce_with_logits_params& p)
        : values(p.targets), narrow((p.flags & BCE_TARGETS_U8) != 0),
          has_ignore_value((p.flags & BCE_IGNORE_VALUE) != 0), ignore_value(p.ignore_value),
          mask(p.mask, p.mask_axes, (p.flags & BCE_MASK_FULL) != 0, (p.flags & BCE_WIDE_INDEX) != 0) {}

    __device__ __forceinline__ const float* floats() const { return static_cast<const float*>(values); }

    __device__ __forceinline__ float at(int64_t i) const {
        return narrow ? static_cast<float>(static_cast<const uint8_t*>(values)[i]) : floats()[i];
    }

    __device__ __forceinline__ bool is_ignored(float target) const {
        return has_ignore_value && target == ignore_value;
    }

    __device__ __forceinline__ bool is_live(int64_t i, float target) const {
        return mask.at(i) != 0.0f && !is_ignored(target);
    }
};

__device__ __forceinline__ bool is_packed(const float* p, int head) { return floats_to_boundary(p) == head; }

/* Four neighbours, as one access where the array is aligned as the logits are. */
template <bool kPacked>
__device__ __forceinline__ void load(const float* p, int64_t i, int head, float (&v)[4]) {
    if (kPacked || is_packed(p, head)) {
        const float4 x = *reinterpret_cast<const float4*>(p + i);
        v[0] = x.x;
        v[1] = x.y;
        v[2] = x.z;
        v[3] = x.w;
    } else {
#pragma unroll
        for (int c = 0; c < 4; c++) v[c] = p[i + c];
    }
}

template <bool kPacked>
__device__ __forceinline__ void store(float* p, int64_t i, int head, const float (&v)[4]) {
    if (kPacked || is_packed(p, head)) {
        store_streaming(p + i, v);
    } else {
#pragma unroll
        for (int c = 0; c < 4; c++) p[i + c] = v[c];
    }
}

/* What all elements of a launch have in common. */
template <bool kLoss, bool kGrad>
struct Elements {
    const bce_with_logits_params& p;
    Targets targets;
    Weights pos_weight;
    Weights weights;
    const float* upstreams; /* null: `upstream` for every element */
    float upstream;
    float* losses; /* null: not stored */
    int head;      /* elements before the first 16-byte boundary of every segment of the logits */
    bool packed;   /* all arrays are aligned as the logits are */

    __device__ __forceinline__ Elements(const bce_with_logits_params& p, double denominator)
        : p(p), targets(p), pos_weight(pos_weight_of(p)), weights(weights_of(p)),
          upstreams(kGrad && (p.flags & BCE_GRAD_LOSS_PER_ELEMENT) != 0 ? p.grad_loss : nullptr), upstream(1.0f),
          losses(kLoss && (p.flags & BCE_LOSS_PER_ELEMENT) != 0 ? p.loss : nullptr),
          head(floats_to_boundary(p.logits)) {
        if (kGrad && upstreams == nullptr) {
            const float a = p.grad_loss == nullptr ? 1.0f : *p.grad_loss;
            upstream = __double2float_rn(__ddiv_rn(static_cast<double>(a), denominator));
        }
        packed = !targets.narrow && targets.mask.scalar && is_packed(targets.floats(), head) &&
                 pos_weight.is_packed(head) && weights.is_packed(head) &&
                 (upstreams == nullptr || is_packed(upstreams, head)) &&
                 (losses == nullptr || is_packed(losses, head)) && (!kGrad || is_packed(p.grad_logits, head)) &&
                 (p.sigmoid == nullptr || is_packed(p.sigmoid, head));
    }

    /* Four neighbours; adds their losses to the thread's lanes. */
    template <bool kPacked>
    __device__ __forceinline__ void quad(int64_t i, float (&lane)[4]) const {
        float x[4], t[4], positive[4], w[4], a[4] = {upstream, upstream, upstream, upstream};
        load<kPacked>(p.logits, i, head, x);
        bool live[4];
        if (kPacked || !targets.narrow) {
            load<kPacked>(targets.floats(), i, head, t);
        } else {
#pragma unroll
            for (int c = 0; c < 4; c++) t[c] = targets.at(i + c);
        }
#pragma unroll
        for (int c = 0; c < 4; c++) {
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
        float loss[4], gradient[4], sigmoid[4];
#pragma unroll
        for (int c = 0; c < 4; c++) {
            Element element{x[c], t[c], live[c], positive[c], w[c], a[c]};
            element.compute<kLoss, kGrad>(p);
            loss[c] = element.loss;
            gradient[c] = element.gradient;
            sigmoid[c] = element.sigmoid;
            if (kLoss) lane[c] = __fadd_rn(lane[c], element.loss);
        }
        if (kGrad) store<kPacked>(p.grad_logits, i, head, gradient);
        if (losses != nullptr) store<kPacked>(losses, i, head, loss);
        if (p.sigmoid != nullptr) store<kPacked>(p.sigmoid, i, head, sigmoid);
    }

    /* One element of a head or tail. */
    __device__ __forceinline__ void single(int64_t i, float& lane) const {
        const float target = targets.at(i);
        Element element{p.logits[i],      target,        targets.is_live(i, target),
                        pos_weight.at(i), weights.at(i), upstreams == nullptr ? upstream : upstreams[i]};
        element.compute<kLoss, kGrad>(p);
        if (kLoss) lane = __fadd_rn(lane, element.loss);
        if (kGrad) p.grad_logits[i] = element.gradient;
        if (losses != nullptr) losses[i] = element.loss;
        if (p.sigmoid != nullptr) p.sigmoid[i] = element.sigmoid;
    }

    /* A thread's share of the segment of n elements from `base` on, in rising order: an element of the head, which stands
     * at the end of the circle of lanes, whole quads, an element of the tail. */
    __device__ __forceinline__ void segment(int64_t base, int n, float (&lane)[4]) const {
        const int thread = threadIdx.x;
        if (thread == kBlock - 1) {
#pragma unroll 1
            for (int e = 0; e < head && e < n; e++) {
                float loss = e + 4 - head == 1 ? lane[1] : e + 4 - head == 2 ? lane[2] : lane[3];
                single(base + e, loss);
                lane[1] = e + 4 - head == 1 ? loss : lane[1];
                lane[2] = e + 4 - head == 2 ? loss : lane[2];
                lane[3] = e + 4 - head == 3 ? loss : lane[3];
            }
        }
        int at = head + 4 * thread;
        if (packed) {
            ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 1
            for (; at + 3 < n; at += kStep) quad<true>(base + at, lane);
            ISOBIT_MAIN_LOOP_END;
        } else {
#pragma unroll 1
            for (; at + 3 < n; at += kStep) quad<false>(base + at, lane);
        }
#pragma unroll 1
        for (int c = 0; c < 3 && at + c < n; c++) {
            float loss = c == 0 ? lane[0] : c == 1 ? lane[1] : lane[2];
            single(base + at + c, loss);
            lane[0] = c == 0 ? loss : lane[0];
            lane[1] = c == 1 ? loss : lane[1];
            lane[2] = c == 2 ? loss : lane[2];
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
    __device__ __forceinline__ void fold(int turn, const float (&lane)[4], float* sum) {
        reinterpret_cast<float4*>(lanes[turn & 1])[threadIdx.x] = make_float4(lane[0], lane[1], lane[2], lane[3]);
        __syncthreads();
        if (threadIdx.x / 32 == (turn & (kBlockWarps - 1))) {
            const float folded = fold_shared(lanes[turn & 1], threadIdx.x & 31);
            if ((threadIdx.x & 31) == 0) *sum = folded;
        }
    }
};

/* Joins the sums of all segments in rising order, in float64. Thread 0 gets the result. */
__device__ __forceinline__ double join(const float* parts, int64_t segments, float* shared) {
    double total = 0.0;
    for (int64_t first = 0; first < segments; first += kLanes) {
        const int n = segments - first < kLanes ? static_cast<int>(segments - first) : kLanes;
        __syncthreads();
        /* Past the first-level cache, which does not see what other blocks wrote. */
        for (int i = threadIdx.x; i < n; i += kBlock) shared[i] = __ldcg(parts + first + i);
        __syncthreads();
        if (threadIdx.x == 0) {
            for (int i = 0; i < n; i++) total = __dadd_rn(total, static_cast<double>(shared[i]));
        }
    }
    return total;
}

template <bool kLoss, bool kGrad>
__device__ __forceinline__ void elements(const bce_with_logits_params& p) {
    __shared__ __align__(16) SegmentSums sums;
    __shared__ bool is_last;
    const bool mean = (p.flags & BCE_MEAN) != 0;
    const bool summed = (p.flags & BCE_SUMMED_DENOMINATOR) != 0;
    const double denominator = !mean ? 1.0 : summed ? *p.denominator : __ll2double_rn(p.count);
    const Elements<kLoss, kGrad> all(p, denominator);
    const int64_t segments = segments_of(p);
    int turn = 0;
    for (int64_t j = blockIdx.x; j < segments; j += gridDim.x) {
        float lane[4] = {0.0f, 0.0f, 0.0f, 0.0f};
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
        const double total = join(p.loss_parts, segments, sums.lanes[0]);
        if (threadIdx.x == 0) {
            *p.loss = canonical(__double2float_rn(mean ? __ddiv_rn(total, denominator) : total));
        }
    }
}

/* What an element adds to the denominator. */
struct Shares {
    Targets targets;
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
__device__ __forceinline__ void weigh(const bce_with_logits_params& p) {
    __shared__ __align__(16) SegmentSums sums;
    const Shares shares(p);
    const int64_t segments = segments_of(p);
    int turn = 0;
    for (int64_t j = blockIdx.x; j < segments; j += gridDim.x) {
        const int n = length_of(p, j);
        float lane[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int at = 4 * threadIdx.x; at < n; at += kStep) {
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
        const double total = join(p.weight_parts, segments_of(p), shared);
        if (threadIdx.x == 0) *p.denominator = total;
    }
    if (p.arrivals != nullptr && threadIdx.x == 0) *p.arrivals = 0;
}

} // namespace bce_with_logits
} // namespace isobit
