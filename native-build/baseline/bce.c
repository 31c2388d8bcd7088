/*
 * Binary cross-entropy with logits, loss and gradient in one pass: logits and targets are read once, gradients written once. One
 * exponential e = exp(-|x|), one reciprocal and one polynomial serve both: with a = 1 - y for negatives, b = w y for
 * positives, c that of the two which weighs |x| and d the other,
 *     l = c |x| + (c + d) log(1 + e),    dl/dx = sign(x) (c - d e) / (1 + e),
 * without a difference of large numbers.
 */
#include "baseline.h"
#include "simd.h"
#include "team.h"

#include <stdlib.h>

enum { kBlock = 4096, kMostParts = 64 };

typedef struct {
    const void* logits;
    const float* targets;
    const float* pos_weight;
    float* loss;
    void* grad;
    int64_t elements;
    int64_t labels;
    float upstream;
    int32_t dtype;
    int32_t variant;
    /* Of each part, a cache line apart. */
    double (*sums)[8];
} bce;

/* Gradient of LANES elements; *loss are their losses. */
INLINE vec element(vec x, vec y, vec w, int weighted, vec upstream, vec* loss) {
    ints sign = both(bits(x), whole(INT32_MIN));
    vec magnitude = floats(differing(bits(x), sign));
    mask below_zero = negative(x);
    vec a = sub(broadcast(1), y), b = weighted ? mul(w, y) : y;
    vec c = choose(below_zero, b, a), d = choose(below_zero, a, b);
    vec e = power_of_two(mul(magnitude, broadcast(-LOG2E)));
    vec log_term = log_of_1_plus(e);
    *loss = muladd(c, magnitude, weighted ? mul(add(a, b), log_term) : log_term);
    vec slope = mul(mulneg(d, e, c), mul(reciprocal(add(e, broadcast(1))), upstream));
    return floats(differing(bits(slope), sign));
}

INLINE void elements(const bce* op, int64_t from, int64_t to, int32_t part, int weighted, int each_loss, int streaming,
                     int dtype) {
    // Weights from any label on, LANES of them and more.
    int64_t labels = weighted ? op->labels : 1;
    float* weights = NULL;
    if (weighted) {
        weights = malloc((size_t)(labels + LANES) * sizeof(float));
        if (weights == NULL) abort();
        for (int64_t i = 0; i < labels + LANES; i++) weights[i] = op->pos_weight[i % labels];
    }
    int64_t label = from % labels, step = LANES % labels;
    vec upstream = broadcast(op->upstream), w = broadcast(1), loss;
    double total = 0;
    int64_t i = from;
    while (i + LANES <= to) {
        int64_t end = to - i < kBlock ? to : i + kBlock;
        vec sum = broadcast(0);
        for (; i + LANES <= end; i += LANES) {
            if (weighted) {
                w = load(weights + label);
                label += step;
                label -= label >= labels ? labels : 0;
            }
            vec grad = element(load_as(op->logits, i, dtype), load(op->targets + i), w, weighted, upstream, &loss);
            if (each_loss) store(op->loss + i, loss);
            if (streaming) {
                stream_as(op->grad, i, grad, dtype);
            } else {
                store_as(op->grad, i, grad, dtype);
            }
            sum = add(sum, loss);
        }
        total += (double)sum_of(sum);
    }
    if (i < to) {
        int64_t left = to - i;
        if (weighted) w = load(weights + label);
        vec grad = element(load_part_as(op->logits, i, left, 0, dtype), load_part(op->targets + i, left, 0), w,
                           weighted, upstream, &loss);
        if (each_loss) store_part(op->loss + i, left, loss);
        store_part_as(op->grad, i, left, grad, dtype);
        total += (double)sum_of(choose_before(left, loss, 0));
    }
    if (streaming) _mm_sfence();
    op->sums[part][0] = total;
    free(weights);
}

INLINE void elements_of(const bce* op, int64_t from, int64_t to, int32_t part, int dtype) {
    // A part starts at a cache line; with gradients that do not, no store goes past the caches.
    int streaming = op->variant == kOther && ((uintptr_t)op->grad & 63) == 0;
    if (op->loss != NULL) {
        if (op->pos_weight != NULL) {
            elements(op, from, to, part, 1, 1, 0, dtype);
        } else {
            elements(op, from, to, part, 0, 1, 0, dtype);
        }
    } else if (streaming) {
        if (op->pos_weight != NULL) {
            elements(op, from, to, part, 1, 0, 1, dtype);
        } else {
            elements(op, from, to, part, 0, 0, 1, dtype);
        }
    } else if (op->pos_weight != NULL) {
        elements(op, from, to, part, 1, 0, 0, dtype);
    } else {
        elements(op, from, to, part, 0, 0, 0, dtype);
    }
}

static void part_of_elements(void* context, int32_t part, int32_t parts) {
    const bce* op = context;
    int64_t from = op->elements / parts * part / 64 * 64;
    int64_t to = part + 1 == parts ? op->elements : op->elements / parts * (part + 1) / 64 * 64;
    switch (op->dtype) {
    case kF32:
        elements_of(op, from, to, part, kF32);
        break;
    case kBF16:
        elements_of(op, from, to, part, kBF16);
        break;
    default:
        elements_of(op, from, to, part, kF16);
    }
}

float isobit_baseline_bce(const void* logits, const float* targets, const float* pos_weight, float* loss, void* grad,
                          int64_t elements, int64_t labels, float upstream, int32_t dtype, int32_t variant,
                          int32_t threads) {
    double sums[kMostParts][8] = {{0}};
    bce op = {logits, targets, pos_weight, loss, grad, elements, labels, upstream, dtype, variant, sums};
    isobit_team_run(part_of_elements, &op, threads);
    double total = 0;
    for (int part = 0; part < kMostParts; part++) total += sums[part][0];
    return (float)(total * (double)upstream);
}
