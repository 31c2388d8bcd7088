/* AdamW, and the streams that it is held against. */
#include "baseline.h"
#include "simd.h"
#include "team.h"

typedef struct {
    const isobit_baseline_tensor* tensors;
    int64_t tensor_count;
    int64_t elements;
    float w1, w2, neg_step, rsqrt_bc2, eps, decay;
} adamw;

static void update(const adamw* op, const isobit_baseline_tensor* t, int64_t from, int64_t to) {
    vec w1 = broadcast(op->w1), w2 = broadcast(op->w2), neg_step = broadcast(op->neg_step);
    vec rsqrt_bc2 = broadcast(op->rsqrt_bc2), eps = broadcast(op->eps), decay = broadcast(op->decay);
    float *param = t->param, *exp_avg = t->exp_avg, *exp_avg_sq = t->exp_avg_sq;
    const float* grad = t->grad;
    for (int64_t i = from; i < to; i += LANES) {
        int64_t left = to - i;
        int whole = left >= LANES;
        vec p = whole ? load(param + i) : load_part(param + i, left, 0);
        vec g = whole ? load(grad + i) : load_part(grad + i, left, 0);
        vec m = whole ? load(exp_avg + i) : load_part(exp_avg + i, left, 0);
        vec v = whole ? load(exp_avg_sq + i) : load_part(exp_avg_sq + i, left, 0);
        m = muladd(w1, sub(g, m), m);
        v = muladd(w2, mulsub(g, g, v), v);
        p = muladd(neg_step, divide(m, muladd(root(v), rsqrt_bc2, eps)), mul(p, decay));
        if (whole) {
            store(param + i, p);
            store(exp_avg + i, m);
            store(exp_avg_sq + i, v);
        } else {
            store_part(param + i, left, p);
            store_part(exp_avg + i, left, m);
            store_part(exp_avg_sq + i, left, v);
        }
    }
}

static void part_of_adamw(void* context, int32_t part, int32_t parts) {
    const adamw* op = context;
    int64_t from = op->elements * part / parts;
    int64_t to = op->elements * (part + 1) / parts;
    int64_t start = 0;
    for (int64_t i = 0; i < op->tensor_count && start < to; i++) {
        int64_t count = op->tensors[i].count;
        int64_t begin = from > start ? from - start : 0;
        int64_t end = to - start < count ? to - start : count;
        if (begin < end) update(op, &op->tensors[i], begin, end);
        start += count;
    }
}

void isobit_baseline_adamw(const isobit_baseline_tensor* tensors, int64_t tensor_count, float w1, float w2,
                           float neg_step, float rsqrt_bc2, float eps, float decay, int32_t threads) {
    int64_t elements = 0;
    for (int64_t i = 0; i < tensor_count; i++) elements += tensors[i].count;
    adamw op = {tensors, tensor_count, elements, w1, w2, neg_step, rsqrt_bc2, eps, decay};
    isobit_team_run(part_of_adamw, &op, threads);
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
