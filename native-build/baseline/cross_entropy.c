/*
 * Cross-entropy with class indices, loss and gradient: the shortest way through memory and arithmetic that is still
 * right. A row is cut into blocks that stay in L1 or L2; each is reduced around its own maximum, so that logits come from
 * memory once. Traffic: logits read, grad written (and read, where a store reads its line first): 8 to 12 bytes an element.
 */
#include "baseline.h"
#include "simd.h"
#include "team.h"

#include <stdlib.h>

/* Elements of a block: 16 KB of logits and as much of grad. */
enum { kBlock = 4096 };

typedef struct {
    const float* logits;
    const int64_t* targets;
    float* row_loss;
    float* grad;
    int64_t rows;
    int64_t classes;
    int32_t variant;
} cross_entropy;

static float maximum(const float* x, int64_t count) {
    vec a = broadcast(-INFINITY), b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        a = max(a, load(x + i));
        b = max(b, load(x + i + LANES));
        c = max(c, load(x + i + 2 * LANES));
        d = max(d, load(x + i + 3 * LANES));
    }
    for (; i < count; i += LANES) a = max(a, load_part(x + i, count - i, -INFINITY));
    return max_of(max(max(a, b), max(c, d)));
}

/* e[i] = exp(x[i] - m); returns their sum. */
static float exponentials(const float* x, float* e, int64_t count, float m) {
    vec shift = broadcast(m * LOG2E), a = broadcast(0), b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        vec ea = exp_difference(load(x + i), shift);
        vec eb = exp_difference(load(x + i + LANES), shift);
        vec ec = exp_difference(load(x + i + 2 * LANES), shift);
        vec ed = exp_difference(load(x + i + 3 * LANES), shift);
        store(e + i, ea);
        store(e + i + LANES, eb);
        store(e + i + 2 * LANES, ec);
        store(e + i + 3 * LANES, ed);
        a = add(a, ea);
        b = add(b, eb);
        c = add(c, ec);
        d = add(d, ed);
    }
    for (; i < count; i += LANES) {
        vec ea = exp_difference(load_part(x + i, count - i, -INFINITY), shift);
        store_part(e + i, count - i, ea);
        a = add(a, ea);
    }
    return sum_of(add(add(a, b), add(c, d)));
}

/* The same, and the maximum of another block on the way: its loads wait for memory while exponentials are computed. */
static float exponentials_and_maximum(const float* x, float* e, int64_t count, float m, const float* next,
                                      int64_t next_count, float* next_max) {
    vec shift = broadcast(m * LOG2E), a = broadcast(0), b = a, ma = broadcast(-INFINITY), mb = ma;
    int64_t both = count < next_count ? count : next_count;
    int64_t i = 0;
    for (; i + 2 * LANES <= both; i += 2 * LANES) {
        vec ea = exp_difference(load(x + i), shift);
        vec eb = exp_difference(load(x + i + LANES), shift);
        ma = max(ma, load(next + i));
        mb = max(mb, load(next + i + LANES));
        store(e + i, ea);
        store(e + i + LANES, eb);
        a = add(a, ea);
        b = add(b, eb);
    }
    float rest = maximum(next + i, next_count - i);
    float found = max_of(max(ma, mb));
    *next_max = rest > found ? rest : found;
    return exponentials(x + i, e + i, count - i, m) + sum_of(add(a, b));
}

static void scaled(const float* e, float* grad, int64_t count, float factor) {
    vec f = broadcast(factor);
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        store(grad + i, mul(f, load(e + i)));
        store(grad + i + LANES, mul(f, load(e + i + LANES)));
        store(grad + i + 2 * LANES, mul(f, load(e + i + 2 * LANES)));
        store(grad + i + 3 * LANES, mul(f, load(e + i + 3 * LANES)));
    }
    for (; i < count; i += LANES) store_part(grad + i, count - i, mul(f, load_part(e + i, count - i, 0)));
}

/* The same by stores that do not read their cache line first. */
static void scaled_stream(const float* e, float* grad, int64_t count, float factor) {
    enum { kBytes = LANES * sizeof(float) };
    vec f = broadcast(factor);
    int64_t i = (int64_t)((-(uintptr_t)grad & (kBytes - 1)) / sizeof(float));
    if (i > count) i = count;
    if (i > 0) store_part(grad, i, mul(f, load_part(e, i, 0)));
    for (; i + LANES <= count; i += LANES) stream(grad + i, mul(f, load(e + i)));
    if (i < count) store_part(grad + i, count - i, mul(f, load_part(e + i, count - i, 0)));
}

static void rows_by_passes(const cross_entropy* op, int64_t from, int64_t to) {
    int64_t classes = op->classes;
    float upstream = 1.0f / (float)op->rows;
    for (int64_t row = from; row < to; row++) {
        const float* x = op->logits + row * classes;
        float* grad = op->grad + row * classes;
        int64_t target = op->targets[row];
        float target_logit = x[target];
        float m = maximum(x, classes);
        float sum = exponentials(x, grad, classes, m);
        op->row_loss[row] = m - target_logit + logf(sum);
        float factor = upstream / sum;
        scaled(grad, grad, classes, factor);
        grad[target] -= upstream;
    }
}

static void rows_by_blocks(const cross_entropy* op, int64_t from, int64_t to, int streaming) {
    int64_t classes = op->classes;
    int64_t blocks = (classes + kBlock - 1) / kBlock;
    float upstream = 1.0f / (float)op->rows;
    float* block_max = malloc((size_t)(2 * blocks) * sizeof(float));
    float* block_sum = block_max + blocks;
    float* scratch = streaming ? aligned_alloc(64, (size_t)(classes * 4 + 63) & ~(size_t)63) : NULL;
    if (block_max == NULL || (streaming && scratch == NULL)) abort();
    float next_max = from < to ? maximum(op->logits + from * classes, classes < kBlock ? classes : kBlock) : 0;
    for (int64_t row = from; row < to; row++) {
        const float* x = op->logits + row * classes;
        float* grad = op->grad + row * classes;
        float* e = streaming ? scratch : grad;
        int64_t target = op->targets[row];
        float target_logit = x[target];
        float m = -INFINITY;
        for (int64_t block = 0, at = 0; block < blocks; block++, at += kBlock) {
            int64_t count = classes - at < kBlock ? classes - at : kBlock;
            // Blocks follow each other through the rows: behind the last block stands the next row's first.
            int64_t in_row = classes - at - count;
            int64_t left = in_row > 0 ? in_row : row + 1 < to ? classes : 0;
            block_max[block] = next_max;
            if (next_max > m) m = next_max;
            block_sum[block] = exponentials_and_maximum(x + at, e + at, count, next_max, x + at + count,
                                                        left < kBlock ? left : kBlock, &next_max);
        }
        float sum = 0;
        for (int64_t block = 0; block < blocks; block++) sum += block_sum[block] * expf(block_max[block] - m);
        op->row_loss[row] = m - target_logit + logf(sum);
        for (int64_t block = 0, at = 0; block < blocks; block++, at += kBlock) {
            int64_t count = classes - at < kBlock ? classes - at : kBlock;
            float factor = upstream / sum * expf(block_max[block] - m);
            if (streaming) {
                scaled_stream(e + at, grad + at, count, factor);
            } else {
                scaled(e + at, grad + at, count, factor);
            }
        }
        if (streaming) {
            // Formed anew: what was streamed is on its way to memory.
            grad[target] = e[target] * (upstream / sum * expf(block_max[target / kBlock] - m)) - upstream;
        } else {
            grad[target] -= upstream;
        }
    }
    if (streaming) _mm_sfence();
    free(scratch);
    free(block_max);
}

static void part_of_rows(void* context, int32_t part, int32_t parts) {
    const cross_entropy* op = context;
    int64_t from = op->rows * part / parts;
    int64_t to = op->rows * (part + 1) / parts;
    if (op->variant == kPasses) {
        rows_by_passes(op, from, to);
    } else {
        rows_by_blocks(op, from, to, op->variant == kStreaming);
    }
}

float isobit_baseline_cross_entropy(const float* logits, const int64_t* targets, float* row_loss, float* grad,
                                    int64_t rows, int64_t classes, int32_t variant, int32_t threads) {
    cross_entropy op = {logits, targets, row_loss, grad, rows, classes, variant};
    isobit_team_run(part_of_rows, &op, threads);
    double sum = 0;
    for (int64_t row = 0; row < rows; row++) sum += row_loss[row];
    return (float)(sum / (double)rows);
}

int32_t isobit_baseline_lanes(void) { return LANES; }
