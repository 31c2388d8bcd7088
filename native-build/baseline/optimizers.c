/* AdamW, SGD with momentum, and the streams that they are held against. */
#include "baseline.h"
#include "simd.h"
#include "team.h"

/* Elements of a turn of three loops: what the first two write is in the first cache for the third. */
enum { kTurn = 512 };
/* Elements of a sum in float32. */
enum { kBlock = 4096, kMostParts = 64 };

typedef struct {
    const isobit_baseline_tensor* tensors;
    int64_t tensor_count;
    int64_t elements;
    union {
        struct {
            float w1, w2, neg_step, rsqrt_bc2, eps, decay;
            float grad_factor; /* of a step that clips */
        };
        struct {
            float neg_lr, momentum, grad_share, weight_decay;
        };
    };
    int32_t dtype;
    int32_t moment_dtype;
    int32_t variant;
    int32_t clips;
    /* Of each part, a cache line apart; and that of a part. */
    double (*sums)[8];
    double* squares;
} optimizer;

/* A part's share of a tensor. */
typedef void update(const optimizer* op, const isobit_baseline_tensor* t, int64_t from, int64_t to);

INLINE vec next_exp_avg(vec m, vec g, vec w1) { return muladd(w1, sub(g, m), m); }
INLINE vec next_exp_avg_sq(vec v, vec g, vec w2) { return muladd(w2, mulsub(g, g, v), v); }
INLINE vec next_param(const optimizer* op, vec p, vec m, vec v) {
    vec denominator = muladd(root(v), broadcast(op->rsqrt_bc2), broadcast(op->eps));
    return muladd(broadcast(op->neg_step), divide(m, denominator), mul(p, broadcast(op->decay)));
}

/* A gradient as the update takes it. */
INLINE vec taken(const optimizer* op, vec g, int clips) { return clips ? mul(g, broadcast(op->grad_factor)) : g; }

INLINE void adamw_plain(const optimizer* op, const isobit_baseline_tensor* t, int64_t from, int64_t to, int dtype,
                        int moments, int clips) {
    vec w1 = broadcast(op->w1), w2 = broadcast(op->w2);
    int64_t i = from;
    for (; i + LANES <= to; i += LANES) {
        vec g = taken(op, load_as(t->grad, i, dtype), clips);
        vec m = next_exp_avg(load_as(t->exp_avg, i, moments), g, w1);
        vec v = next_exp_avg_sq(load_as(t->exp_avg_sq, i, moments), g, w2);
        store_as(t->param, i, next_param(op, load_as(t->param, i, dtype), m, v), dtype);
        store_as(t->exp_avg, i, m, moments);
        store_as(t->exp_avg_sq, i, v, moments);
    }
    if (i < to) {
        int64_t left = to - i;
        vec g = taken(op, load_part_as(t->grad, i, left, 0, dtype), clips);
        vec m = next_exp_avg(load_part_as(t->exp_avg, i, left, 0, moments), g, w1);
        vec v = next_exp_avg_sq(load_part_as(t->exp_avg_sq, i, left, 0, moments), g, w2);
        store_part_as(t->param, i, left, next_param(op, load_part_as(t->param, i, left, 0, dtype), m, v), dtype);
        store_part_as(t->exp_avg, i, left, m, moments);
        store_part_as(t->exp_avg_sq, i, left, v, moments);
    }
}

/* Seven streams at once, and memory gives less than to one or two: a turn's moments first, then its parameters. */
INLINE void adamw_in_turns(const optimizer* op, const isobit_baseline_tensor* t, int64_t from, int64_t to, int dtype,
                           int moments, int clips) {
    vec w1 = broadcast(op->w1), w2 = broadcast(op->w2);
    // Moments as they were computed, where memory holds them rounded.
    float exp_avg[kTurn], exp_avg_sq[kTurn];
    int64_t i = from;
    for (; i + kTurn <= to; i += kTurn) {
        for (int64_t k = 0; k < kTurn; k += LANES) {
            vec m =
                next_exp_avg(load_as(t->exp_avg, i + k, moments), taken(op, load_as(t->grad, i + k, dtype), clips), w1);
            store_as(t->exp_avg, i + k, m, moments);
            if (moments != kF32) store(exp_avg + k, m);
        }
        for (int64_t k = 0; k < kTurn; k += LANES) {
            vec v = next_exp_avg_sq(load_as(t->exp_avg_sq, i + k, moments),
                                    taken(op, load_as(t->grad, i + k, dtype), clips), w2);
            store_as(t->exp_avg_sq, i + k, v, moments);
            if (moments != kF32) store(exp_avg_sq + k, v);
        }
        for (int64_t k = 0; k < kTurn; k += LANES) {
            vec m = moments != kF32 ? load(exp_avg + k) : load((const float*)t->exp_avg + i + k);
            vec v = moments != kF32 ? load(exp_avg_sq + k) : load((const float*)t->exp_avg_sq + i + k);
            store_as(t->param, i + k, next_param(op, load_as(t->param, i + k, dtype), m, v), dtype);
        }
    }
    adamw_plain(op, t, i, to, dtype, moments, clips);
}

INLINE void adamw_of(const optimizer* op, const isobit_baseline_tensor* t, int64_t from, int64_t to, int dtype,
                     int moments, int clips) {
    if (op->variant == kPlain) {
        adamw_plain(op, t, from, to, dtype, moments, clips);
    } else {
        adamw_in_turns(op, t, from, to, dtype, moments, clips);
    }
}

/* By dtype of parameters and gradients, dtype of moments, whether gradients are scaled first. Copies that no store of a vector can change stay in registers. */
#define ADAMW(name, dtype, moments, clips)                                                             \
    static void name(const optimizer* op, const isobit_baseline_tensor* t, int64_t from, int64_t to) { \
        const optimizer own = *op;                                                                     \
        const isobit_baseline_tensor tensor = *t;                                                      \
        adamw_of(&own, &tensor, from, to, dtype, moments, clips);                                      \
    }
ADAMW(adamw_f32, kF32, kF32, 0)
ADAMW(adamw_bf16, kBF16, kF32, 0)
ADAMW(adamw_all_bf16, kBF16, kBF16, 0)
ADAMW(adamw_f16, kF16, kF32, 0)
ADAMW(adamw_clipped, kF32, kF32, 1)

/* Adds the squares of gradients, which are F32. */
static void squares(const optimizer* op, const isobit_baseline_tensor* t, int64_t from, int64_t to) {
    const float* grad = t->grad;
    double total = 0;
    for (int64_t i = from, end; i < to; i = end) {
        end = to - i < kBlock ? to : i + kBlock;
        vec sum[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
        for (; i + 4 * LANES <= end; i += 4 * LANES) {
            for (int k = 0; k < 4; k++) {
                vec g = load(grad + i + k * LANES);
                sum[k] = muladd(g, g, sum[k]);
            }
        }
        for (; i < end; i += LANES) {
            vec g = load_part(grad + i, end - i, 0);
            sum[0] = muladd(g, g, sum[0]);
        }
        total += (double)sum_of(add(add(sum[0], sum[1]), add(sum[2], sum[3])));
    }
    *op->squares += total;
}

static void sgd(const optimizer* op, const isobit_baseline_tensor* t, int64_t from, int64_t to) {
    vec neg_lr = broadcast(op->neg_lr), momentum = broadcast(op->momentum);
    vec share = broadcast(op->grad_share), decay = broadcast(op->weight_decay);
    float *param = t->param, *buffer = t->exp_avg;
    const float* grad = t->grad;
    for (int64_t i = from; i < to; i += LANES) {
        int64_t left = to - i;
        int all = left >= LANES;
        vec p = all ? load(param + i) : load_part(param + i, left, 0);
        vec g = all ? load(grad + i) : load_part(grad + i, left, 0);
        vec b = all ? load(buffer + i) : load_part(buffer + i, left, 0);
        b = muladd(momentum, b, mul(share, muladd(decay, p, g)));
        p = muladd(neg_lr, b, p);
        if (all) {
            store(param + i, p);
            store(buffer + i, b);
        } else {
            store_part(param + i, left, p);
            store_part(buffer + i, left, b);
        }
    }
}

static void part_of_tensors(const optimizer* op, int32_t part, int32_t parts, update* step) {
    int64_t from = op->elements * part / parts;
    int64_t to = op->elements * (part + 1) / parts;
    int64_t start = 0;
    for (int64_t i = 0; i < op->tensor_count && start < to; i++) {
        int64_t count = op->tensors[i].count;
        int64_t begin = from > start ? from - start : 0;
        int64_t end = to - start < count ? to - start : count;
        if (begin < end) step(op, &op->tensors[i], begin, end);
        start += count;
    }
}

static void part_of_adamw(void* context, int32_t part, int32_t parts) {
    const optimizer* op = context;
    update* step = op->clips                   ? adamw_clipped
                   : op->dtype == kF32         ? adamw_f32
                   : op->dtype == kF16         ? adamw_f16
                   : op->moment_dtype == kBF16 ? adamw_all_bf16
                                               : adamw_bf16;
    part_of_tensors(op, part, parts, step);
}

static void part_of_squares(void* context, int32_t part, int32_t parts) {
    optimizer own = *(const optimizer*)context;
    own.squares = own.sums[part];
    part_of_tensors(&own, part, parts, squares);
}

static void part_of_sgd(void* context, int32_t part, int32_t parts) { part_of_tensors(context, part, parts, sgd); }

static int64_t elements_of(const isobit_baseline_tensor* tensors, int64_t tensor_count) {
    int64_t elements = 0;
    for (int64_t i = 0; i < tensor_count; i++) elements += tensors[i].count;
    return elements;
}

void isobit_baseline_adamw(const isobit_baseline_tensor* tensors, int64_t tensor_count, float w1, float w2,
                           float neg_step, float rsqrt_bc2, float eps, float decay, int32_t dtype, int32_t moment_dtype,
                           int32_t variant, int32_t threads) {
    optimizer op = {.tensors = tensors,
                    .tensor_count = tensor_count,
                    .elements = elements_of(tensors, tensor_count),
                    .w1 = w1,
                    .w2 = w2,
                    .neg_step = neg_step,
                    .rsqrt_bc2 = rsqrt_bc2,
                    .eps = eps,
                    .decay = decay,
                    .dtype = dtype,
                    .moment_dtype = moment_dtype,
                    .variant = variant};
    isobit_team_run(part_of_adamw, &op, threads);
}

double isobit_baseline_adamw_clipped(const isobit_baseline_tensor* tensors, int64_t tensor_count, float w1, float w2,
                                     float neg_step, float rsqrt_bc2, float eps, float decay, float grad_scale,
                                     float max_norm, int32_t variant, int32_t threads) {
    double sums[kMostParts][8] = {{0}};
    optimizer op = {.tensors = tensors,
                    .tensor_count = tensor_count,
                    .elements = elements_of(tensors, tensor_count),
                    .w1 = w1,
                    .w2 = w2,
                    .neg_step = neg_step,
                    .rsqrt_bc2 = rsqrt_bc2,
                    .eps = eps,
                    .decay = decay,
                    .variant = variant,
                    .clips = 1,
                    .sums = sums};
    isobit_team_run(part_of_squares, &op, threads);
    double sum = 0;
    for (int part = 0; part < kMostParts; part++) sum += sums[part][0];
    double norm = sqrt(sum) / (double)grad_scale;
    if (isfinite(norm)) {
        double clip = (double)max_norm / (norm + 1e-6);
        op.grad_factor = (float)((clip < 1 ? clip : 1) / (double)grad_scale);
        isobit_team_run(part_of_adamw, &op, threads);
    }
    return norm;
}

void isobit_baseline_sgd(const isobit_baseline_tensor* tensors, int64_t tensor_count, float neg_lr, float momentum,
                         float grad_share, float weight_decay, int32_t threads) {
    optimizer op = {.tensors = tensors,
                    .tensor_count = tensor_count,
                    .elements = elements_of(tensors, tensor_count),
                    .neg_lr = neg_lr,
                    .momentum = momentum,
                    .grad_share = grad_share,
                    .weight_decay = weight_decay};
    isobit_team_run(part_of_sgd, &op, threads);
}

typedef struct {
    float* to;
    const float* from;
    int64_t count;
} streams;

/* Where a part starts: at a cache line of its own. */
static int64_t boundary(int64_t count, int32_t part, int32_t parts) {
    return part == parts ? count : count / parts * part / 16 * 16;
}

static void part_of_stream(void* context, int32_t part, int32_t parts) {
    const streams* op = context;
    vec one = broadcast(1);
    int64_t i = boundary(op->count, part, parts), end = boundary(op->count, part + 1, parts);
    for (; i + LANES <= end; i += LANES) store(op->to + i, muladd(load(op->to + i), one, one));
    for (; i < end; i++) op->to[i] += 1;
}

static void part_of_copy(void* context, int32_t part, int32_t parts) {
    const streams* op = context;
    int64_t i = boundary(op->count, part, parts), end = boundary(op->count, part + 1, parts);
    for (; i + LANES <= end; i += LANES) store(op->to + i, load(op->from + i));
    for (; i < end; i++) op->to[i] = op->from[i];
}

void isobit_baseline_stream(float* x, int64_t count, int32_t threads) {
    streams op = {x, x, count};
    isobit_team_run(part_of_stream, &op, threads);
}

void isobit_baseline_copy(float* to, const float* from, int64_t count, int32_t threads) {
    streams op = {to, from, count};
    isobit_team_run(part_of_copy, &op, threads);
}
