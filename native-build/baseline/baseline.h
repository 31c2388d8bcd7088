/*
 * What a C programmer gets out of this CPU: the peer that the Vector API path is measured against. Not part of Isobit's
 * paths and not bound by NUMERICS.md: sums in any order, a shorter exp. Inputs are finite or -inf.
 *
 * A call returns when its work is done. One caller at a time; `threads` counts the caller.
 */
#pragma once

#include <stdint.h>

/* Layout known to dev.isobit.bench.Baseline. */
typedef struct {
    float* param;
    const float* grad;
    float* exp_avg;
    float* exp_avg_sq;
    int64_t count;
} isobit_baseline_tensor;

/* Float lanes of the vectors that this was compiled for: 16 or 8. */
int32_t isobit_baseline_lanes(void);

/* How cross-entropy goes through memory; which is the fastest depends on the machine. */
enum {
    kPasses = 0,     /* per row: maximum; exponentials into grad; scaling */
    kOverlapped = 1, /* in blocks, the maximum of the next block taken while this one's exponentials are computed */
    kStreaming = 2,  /* the same, exponentials wait in a scratch row, grad is written by non-temporal stores */
    kVariants = 3,
};

/*
 * Mean loss and its gradient: grad[i][k] = (softmax(logits[i])[k] - [k == targets[i]]) / rows.
 * logits, grad: [rows, classes]; targets: [rows], in [0, classes); row_loss: [rows], written; grad may not overlap logits.
 */
float isobit_baseline_cross_entropy(const float* logits, const int64_t* targets, float* row_loss, float* grad,
                                    int64_t rows, int64_t classes, int32_t variant, int32_t threads);

/* AdamW: m += w1 (g - m); v += w2 (g^2 - v); p = p decay + neg_step m / (sqrt(v) rsqrt_bc2 + eps). */
void isobit_baseline_adamw(const isobit_baseline_tensor* tensors, int64_t tensor_count, float w1, float w2,
                           float neg_step, float rsqrt_bc2, float eps, float decay, int32_t threads);

/* x[i] = x[i] * 1 + 1, in place: 8 bytes of traffic per element. */
void isobit_baseline_stream(float* x, int64_t count, int32_t threads);

/* to[i] = from[i]: 8 bytes of traffic per element, not counting what a store reads first. */
void isobit_baseline_copy(float* to, const float* from, int64_t count, int32_t threads);
