/*
 * Cross-entropy with class indices, loss and gradient: the shortest way through memory and arithmetic that is still
 * right. A long row is cut into blocks that stay in L1 or L2; each is reduced around its own maximum, so that logits come
 * from memory once. Short rows go LANES at a time. Traffic: logits read, grad written (and read, where a store reads its
 * line first). Exponentials are floats, so that those of 16-bit logits wait in a scratch row.
 */
#include "baseline.h"
#include "simd.h"
#include "team.h"

#include <stdlib.h>

enum {
    kMostParts = 64,
    kBlock = 4096,   /* elements of a block: 16 KB of logits and as much of grad */
    kLying = 64,     /* classes up to which a group's elements are worked on as they lie in memory, across rows */
    kGrouped = 1024, /* classes of a row of a group at most: 64 KB of exponentials */
    kStage = 4096,   /* exponentials, about, between which a group's are written and read again */
};

typedef struct {
    const void* logits;
    const int64_t* targets;
    float* row_loss;
    void* grad;
    int64_t rows;
    int64_t classes;
    float upstream;
    int32_t dtype;
    int32_t variant;
    /* Of the losses of each part, a cache line apart. */
    double (*sums)[8];
} cross_entropy;

static void* allocated(int64_t bytes) {
    void* memory = aligned_alloc(64, (size_t)(bytes + 63) & ~(size_t)63);
    if (memory == NULL) abort();
    return memory;
}

INLINE float maximum(const void* x, int64_t at, int64_t count, int dtype) {
    vec a = broadcast(-INFINITY), b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        a = max(a, load_as(x, at + i, dtype));
        b = max(b, load_as(x, at + i + LANES, dtype));
        c = max(c, load_as(x, at + i + 2 * LANES, dtype));
        d = max(d, load_as(x, at + i + 3 * LANES, dtype));
    }
    for (; i < count; i += LANES) a = max(a, load_part_as(x, at + i, count - i, -INFINITY, dtype));
    return max_of(max(max(a, b), max(c, d)));
}

/* e[i] = exp(x[at + i] - m); returns their sum. */
INLINE float exponentials(const void* x, int64_t at, float* e, int64_t count, float m, int dtype) {
    vec shift = broadcast(m * LOG2E), a = broadcast(0), b = a, c = a, d = a;
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        vec ea = exp_difference(load_as(x, at + i, dtype), shift);
        vec eb = exp_difference(load_as(x, at + i + LANES, dtype), shift);
        vec ec = exp_difference(load_as(x, at + i + 2 * LANES, dtype), shift);
        vec ed = exp_difference(load_as(x, at + i + 3 * LANES, dtype), shift);
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
        vec ea = exp_difference(load_part_as(x, at + i, count - i, -INFINITY, dtype), shift);
        store_part(e + i, count - i, ea);
        a = add(a, ea);
    }
    return sum_of(add(add(a, b), add(c, d)));
}

/* The same, and the maximum of the next block on the way: its loads wait for memory while exponentials are computed. */
INLINE float exponentials_and_maximum(const void* x, int64_t at, float* e, int64_t count, float m, int64_t next_count,
                                      float* next_max, int dtype) {
    vec shift = broadcast(m * LOG2E), a = broadcast(0), b = a, ma = broadcast(-INFINITY), mb = ma;
    int64_t next = at + count;
    int64_t both = count < next_count ? count : next_count;
    int64_t i = 0;
    for (; i + 2 * LANES <= both; i += 2 * LANES) {
        vec ea = exp_difference(load_as(x, at + i, dtype), shift);
        vec eb = exp_difference(load_as(x, at + i + LANES, dtype), shift);
        ma = max(ma, load_as(x, next + i, dtype));
        mb = max(mb, load_as(x, next + i + LANES, dtype));
        store(e + i, ea);
        store(e + i + LANES, eb);
        a = add(a, ea);
        b = add(b, eb);
    }
    float rest = maximum(x, next + i, next_count - i, dtype);
    float found = max_of(max(ma, mb));
    *next_max = rest > found ? rest : found;
    return exponentials(x, at + i, e + i, count - i, m, dtype) + sum_of(add(a, b));
}

/* grad[at + i] = factor e[i] */
INLINE void scaled(const float* e, void* grad, int64_t at, int64_t count, float factor, int dtype) {
    vec f = broadcast(factor);
    int64_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        store_as(grad, at + i, mul(f, load(e + i)), dtype);
        store_as(grad, at + i + LANES, mul(f, load(e + i + LANES)), dtype);
        store_as(grad, at + i + 2 * LANES, mul(f, load(e + i + 2 * LANES)), dtype);
        store_as(grad, at + i + 3 * LANES, mul(f, load(e + i + 3 * LANES)), dtype);
    }
    for (; i < count; i += LANES) {
        store_part_as(grad, at + i, count - i, mul(f, load_part(e + i, count - i, 0)), dtype);
    }
}

/* The same by stores that do not read their cache line first. */
INLINE void scaled_stream(const float* e, void* grad, int64_t at, int64_t count, float factor, int dtype) {
    vec f = broadcast(factor);
    int64_t size = size_of(dtype);
    int64_t i = (int64_t)(-((uintptr_t)grad + (uintptr_t)(at * size)) & (uintptr_t)(LANES * size - 1)) / size;
    if (i > count) i = count;
    if (i > 0) store_part_as(grad, at, i, mul(f, load_part(e, i, 0)), dtype);
    for (; i + LANES <= count; i += LANES) stream_as(grad, at + i, mul(f, load(e + i)), dtype);
    if (i < count) store_part_as(grad, at + i, count - i, mul(f, load_part(e + i, count - i, 0)), dtype);
}

INLINE void rows_by_passes(const cross_entropy* op, int64_t from, int64_t to, int dtype) {
    int64_t classes = op->classes;
    float* scratch = dtype == kF32 ? NULL : allocated(classes * (int64_t)sizeof(float));
    for (int64_t row = from; row < to; row++) {
        int64_t at = row * classes;
        float* e = dtype == kF32 ? (float*)op->grad + at : scratch;
        int64_t target = op->targets[row];
        float target_logit = get(op->logits, at + target, dtype);
        float m = maximum(op->logits, at, classes, dtype);
        float sum = exponentials(op->logits, at, e, classes, m, dtype);
        op->row_loss[row] = m - target_logit + logf(sum);
        float factor = op->upstream / sum;
        float target_grad = (e[target] - sum) * factor;
        scaled(e, op->grad, at, classes, factor, dtype);
        set(op->grad, at + target, target_grad, dtype);
    }
    free(scratch);
}

INLINE void rows_by_blocks(const cross_entropy* op, int64_t from, int64_t to, int streaming, int dtype) {
    int64_t classes = op->classes;
    int64_t blocks = (classes + kBlock - 1) / kBlock;
    int in_place = dtype == kF32 && !streaming;
    float* block_max = allocated(2 * blocks * (int64_t)sizeof(float));
    float* block_sum = block_max + blocks;
    float* scratch = in_place ? NULL : allocated(classes * (int64_t)sizeof(float));
    float next_max = from < to ? maximum(op->logits, from * classes, classes < kBlock ? classes : kBlock, dtype) : 0;
    for (int64_t row = from; row < to; row++) {
        int64_t start = row * classes;
        float* e = in_place ? (float*)op->grad + start : scratch;
        int64_t target = op->targets[row];
        float target_logit = get(op->logits, start + target, dtype);
        float m = -INFINITY;
        for (int64_t block = 0, at = 0; block < blocks; block++, at += kBlock) {
            int64_t count = classes - at < kBlock ? classes - at : kBlock;
            // Blocks follow each other through the rows: behind the last block stands the next row's first.
            int64_t in_row = classes - at - count;
            int64_t left = in_row > 0 ? in_row : row + 1 < to ? classes : 0;
            block_max[block] = next_max;
            if (next_max > m) m = next_max;
            block_sum[block] = exponentials_and_maximum(op->logits, start + at, e + at, count, next_max,
                                                        left < kBlock ? left : kBlock, &next_max, dtype);
        }
        float sum = 0;
        for (int64_t block = 0; block < blocks; block++) sum += block_sum[block] * expf(block_max[block] - m);
        op->row_loss[row] = m - target_logit + logf(sum);
        // Formed before: what is streamed is on its way to memory.
        float target_grad = (e[target] * expf(block_max[target / kBlock] - m) - sum) * (op->upstream / sum);
        for (int64_t block = 0, at = 0; block < blocks; block++, at += kBlock) {
            int64_t count = classes - at < kBlock ? classes - at : kBlock;
            float factor = op->upstream / sum * expf(block_max[block] - m);
            if (streaming) {
                scaled_stream(e + at, op->grad, start + at, count, factor, dtype);
            } else {
                scaled(e + at, op->grad, start + at, count, factor, dtype);
            }
        }
        set(op->grad, start + target, target_grad, dtype);
    }
    if (streaming) _mm_sfence();
    free(scratch);
    free(block_max);
}

/* A vector of which the largest lane is the row's maximum. */
INLINE vec row_maximum(const void* x, int64_t at, int64_t classes, int dtype) {
    if (classes <= LANES) return load_part_as(x, at, classes, -INFINITY, dtype);
    vec m = load_as(x, at, dtype);
    for (int64_t i = LANES; i + LANES <= classes; i += LANES) m = max(m, load_as(x, at + i, dtype));
    // The last vector overlaps the one before.
    return max(m, load_as(x, at + classes - LANES, dtype));
}

/* A vector whose lanes' sum is the row's. */
INLINE vec row_sum(const float* e, int64_t classes) {
    vec sum = load_part(e, classes, 0);
    for (int64_t i = LANES; i < classes; i += LANES) sum = add(sum, load_part(e + i, classes - i, 0));
    return sum;
}

/* Maxima of LANES rows. Also, for their losses: how far each is above the logit of its row's target. */
INLINE vec group_maxima(const cross_entropy* op, int64_t row, float* above_target, int dtype) {
    vec partial[LANES];
    float target_logit[LANES];
    for (int64_t r = 0; r < LANES; r++) {
        int64_t at = (row + r) * op->classes;
        partial[r] = row_maximum(op->logits, at, op->classes, dtype);
        target_logit[r] = get(op->logits, at + op->targets[row + r], dtype);
    }
    vec m = fold_maxima(partial);
    store(above_target, sub(m, load(target_logit)));
    return m;
}

/*
 * Rows of few classes: a group of LANES rows is as many vectors as there are classes, which are worked on as they lie in memory.
 * row_of[i] is the row in its group of the group's element i. The exponentials of some groups are written before the first
 * are read by rows: a load of what parts of several stores have just written waits for all of them.
 */
INLINE int64_t groups_as_they_lie(const cross_entropy* op, int64_t from, int64_t to, int dtype) {
    int64_t classes = op->classes;
    int64_t size = LANES * classes;
    int64_t stage = kStage / size > 0 ? kStage / size : 1;
    float* e = allocated(stage * size * (int64_t)sizeof(float));
    int32_t* row_of = allocated(size * (int64_t)sizeof(int32_t));
    float* above_target = allocated(stage * LANES * (int64_t)sizeof(float));
    int32_t place[LANES];
    for (int32_t row = 0; row < LANES; row++) {
        for (int64_t k = 0; k < classes; k++) row_of[row * classes + k] = row;
        place[row] = row;
    }
    int64_t row = from;
    while (row + LANES <= to) {
        int64_t groups = (to - row) / LANES < stage ? (to - row) / LANES : stage;
        for (int64_t g = 0; g < groups; g++) {
            int64_t first_row = row + g * LANES;
            vec shift = mul(group_maxima(op, first_row, above_target + g * LANES, dtype), broadcast(LOG2E));
            for (int64_t i = 0; i < size; i += LANES) {
                store(e + g * size + i, exp_difference(load_as(op->logits, first_row * classes + i, dtype),
                                                       permuted(shift, load_ints(row_of + i))));
            }
        }
        for (int64_t g = 0; g < groups; g++) {
            int64_t first_row = row + g * LANES;
            vec partial[LANES];
            int32_t target_at[LANES];
            for (int64_t r = 0; r < LANES; r++) {
                partial[r] = row_sum(e + g * size + r * classes, classes);
                target_at[r] = (int32_t)(r * classes + op->targets[first_row + r]);
            }
            vec sum = fold_sums(partial);
            store(op->row_loss + first_row, add(load(above_target + g * LANES), log_of(sum)));
            vec upstream = broadcast(op->upstream), factor = divide(upstream, sum);
            ints targets = load_ints(target_at), here = load_ints(place);
            for (int64_t i = 0; i < size; i += LANES) {
                ints rows = load_ints(row_of + i);
                vec grad = mul(load(e + g * size + i), permuted(factor, rows));
                grad = masked_sub(grad, equal(permuted_ints(targets, rows), here), upstream);
                store_as(op->grad, first_row * classes + i, grad, dtype);
                here = plus(here, whole(LANES));
            }
        }
        row += groups * LANES;
    }
    free(above_target);
    free(row_of);
    free(e);
    return row;
}

/*
 * Rows of up to 4 classes: a row has 2 or 4 lanes of a vector, maxima and sums come from exchanges of lanes, in all lanes
 * of a row at once. Targets of many rows are turned into lanes before the first is needed.
 */
INLINE int64_t rows_in_lanes(const cross_entropy* op, int64_t from, int64_t to, int slots, int dtype) {
    enum { kRows = 512 };
    int64_t classes = op->classes;
    int64_t together = LANES / slots, count = together * classes;
    // Where a lane's element is among those that lie in memory, and the other way; its row, and the first lane of a row.
    int32_t spread[LANES], packed[LANES] = {0}, row_of[LANES], place[LANES], leader[LANES] = {0};
    float outside[LANES];
    for (int32_t lane = 0; lane < LANES; lane++) {
        int32_t row = lane / slots, k = lane % slots, inside = k < classes;
        spread[lane] = inside ? row * (int32_t)classes + k : 0;
        outside[lane] = inside ? 0 : -1;
        if (inside) packed[spread[lane]] = lane;
        if (k == 0) leader[row] = lane;
        row_of[lane] = row;
        place[lane] = lane;
    }
    mask padding = negative(load(outside));
    ints spreading = load_ints(spread), packing = load_ints(packed), rows_of_lanes = load_ints(row_of);
    ints here = load_ints(place), leaders = load_ints(leader);
    vec upstream = broadcast(op->upstream);
    // A vector is stored where as many rows as it has are wanted.
    int32_t target_at[kRows + LANES] = {0};
    float above_target[kRows + LANES], sums[kRows + LANES];
    int64_t row = from;
    while (row + LANES <= to) {
        int64_t rows = to - row < kRows ? (to - row) / LANES * LANES : kRows;
        for (int64_t r = 0; r < rows; r++) {
            target_at[r] = (int32_t)(r % together * slots) + (int32_t)op->targets[row + r];
        }
        for (int64_t r = 0; r < rows; r += together) {
            int64_t at = (row + r) * classes;
            vec x = permuted(load_part_as(op->logits, at, count, 0, dtype), spreading);
            x = choose(padding, broadcast(-INFINITY), x);
            vec m = x;
            for (int distance = 1; distance < slots; distance *= 2) m = max(m, swapped(m, distance));
            vec e = exp_difference(x, mul(m, broadcast(LOG2E)));
            vec sum = e;
            for (int distance = 1; distance < slots; distance *= 2) sum = add(sum, swapped(sum, distance));
            ints targets = load_ints(target_at + r);
            store(above_target + r, sub(permuted(m, leaders), permuted(x, targets)));
            store(sums + r, permuted(sum, leaders));
            vec grad = mul(e, mul(upstream, reciprocal(sum)));
            grad = masked_sub(grad, equal(permuted_ints(targets, rows_of_lanes), here), upstream);
            store_part_as(op->grad, at, count, permuted(grad, packing), dtype);
        }
        for (int64_t r = 0; r < rows; r += LANES) {
            store(op->row_loss + row + r, add(load(above_target + r), log_of(load(sums + r))));
        }
        row += rows;
    }
    return row;
}

/* Longer rows: each is vectors of its own; maxima and sums of LANES rows fold together, and one logarithm serves all. */
INLINE int64_t groups_of_rows(const cross_entropy* op, int64_t from, int64_t to, int dtype) {
    int64_t classes = op->classes;
    int64_t stride = (classes + LANES - 1) / LANES * LANES;
    float* e = allocated(LANES * stride * (int64_t)sizeof(float));
    int64_t row = from;
    for (; row + LANES <= to; row += LANES) {
        float above_target[LANES], shift[LANES], sums[LANES], factor[LANES];
        vec partial[LANES];
        store(shift, mul(group_maxima(op, row, above_target, dtype), broadcast(LOG2E)));
        for (int64_t r = 0; r < LANES; r++) {
            int64_t at = (row + r) * classes;
            vec m = broadcast(shift[r]), sum = broadcast(0);
            int64_t i = 0;
            for (; i + LANES <= classes; i += LANES) {
                vec x = exp_difference(load_as(op->logits, at + i, dtype), m);
                store(e + r * stride + i, x);
                sum = add(sum, x);
            }
            if (i < classes) {
                vec x = exp_difference(load_part_as(op->logits, at + i, classes - i, -INFINITY, dtype), m);
                store(e + r * stride + i, x);
                sum = add(sum, x);
            }
            partial[r] = sum;
        }
        vec sum = fold_sums(partial);
        store(op->row_loss + row, add(load(above_target), log_of(sum)));
        store(sums, sum);
        store(factor, divide(broadcast(op->upstream), sum));
        for (int64_t r = 0; r < LANES; r++) {
            int64_t at = (row + r) * classes, target = op->targets[row + r];
            scaled(e + r * stride, op->grad, at, classes, factor[r], dtype);
            set(op->grad, at + target, (e[r * stride + target] - sums[r]) * factor[r], dtype);
        }
    }
    free(e);
    return row;
}

INLINE void rows_by_groups(const cross_entropy* op, int64_t from, int64_t to, int dtype) {
    int64_t done = op->classes <= 2          ? rows_in_lanes(op, from, to, 2, dtype)
                   : op->classes <= 4        ? rows_in_lanes(op, from, to, 4, dtype)
                   : op->classes <= kLying   ? groups_as_they_lie(op, from, to, dtype)
                   : op->classes <= kGrouped ? groups_of_rows(op, from, to, dtype)
                                             : from;
    rows_by_passes(op, done, to, dtype);
}

INLINE void rows_of(const cross_entropy* op, int64_t from, int64_t to, int dtype) {
    switch (op->variant) {
    case kPasses:
        rows_by_passes(op, from, to, dtype);
        break;
    case kOverlapped:
        rows_by_blocks(op, from, to, 0, dtype);
        break;
    case kStreaming:
        rows_by_blocks(op, from, to, 1, dtype);
        break;
    default:
        rows_by_groups(op, from, to, dtype);
    }
}

static double sum_of_losses(const float* losses, int64_t count) {
    enum { kTogether = 32 * LANES };
    double total = 0;
    for (int64_t start = 0; start < count; start += kTogether) {
        int64_t end = count - start < kTogether ? count : start + kTogether;
        vec sum = broadcast(0);
        for (int64_t i = start; i < end; i += LANES) sum = add(sum, load_part(losses + i, end - i, 0));
        total += (double)sum_of(sum);
    }
    return total;
}

static void part_of_rows(void* context, int32_t part, int32_t parts) {
    // A copy that no store of a vector can change: what it holds stays in registers.
    const cross_entropy op = *(const cross_entropy*)context;
    int64_t from = op.rows * part / parts;
    int64_t to = op.rows * (part + 1) / parts;
    switch (op.dtype) {
    case kF32:
        rows_of(&op, from, to, kF32);
        break;
    case kBF16:
        rows_of(&op, from, to, kBF16);
        break;
    default:
        rows_of(&op, from, to, kF16);
    }
    op.sums[part][0] = sum_of_losses(op.row_loss + from, to - from);
}

float isobit_baseline_cross_entropy(const void* logits, const int64_t* targets, float* row_loss, void* grad,
                                    int64_t rows, int64_t classes, float upstream, int32_t dtype, int32_t variant,
                                    int32_t threads) {
    double sums[kMostParts][8] = {{0}};
    cross_entropy op = {logits, targets, row_loss, grad, rows, classes, upstream, dtype, variant, sums};
    isobit_team_run(part_of_rows, &op, threads);
    double sum = 0;
    for (int part = 0; part < kMostParts; part++) sum += sums[part][0];
    return (float)(sum / (double)rows);
}

int32_t isobit_baseline_lanes(void) { return LANES; }
