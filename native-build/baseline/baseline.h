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
    void* param;
    const void* grad;
    void* exp_avg;
    void* exp_avg_sq;
    int64_t count;
} isobit_baseline_tensor;

/* Float lanes of the vectors that this was compiled for: 16 or 8. */
int32_t isobit_baseline_lanes(void);

/* What logits, gradients, parameters may be; by dev.isobit.bench.Baseline. */
enum { kF32 = 0, kBF16 = 1, kF16 = 2 };

/* How cross-entropy goes through memory; which is the fastest depends on the machine. */
enum {
    kPasses = 0,     /* per row: maximum; exponentials; scaling */
    kOverlapped = 1, /* in blocks, the maximum of the next block taken while this one's exponentials are computed */
    kStreaming = 2,  /* the same, grad is written by non-temporal stores */
    kGroups = 3, /* as many rows together as a vector has lanes, or more; rows of more than 1024 classes as kPasses */
};

/*
 * Loss and gradient: grad[i][k] = upstream (softmax(logits[i])[k] - [k == targets[i]]); returns the mean loss.
 * logits, grad: [rows, classes], of dtype; targets: [rows], in [0, classes); row_loss: [rows], written; grad may not overlap
 * logits.
 */
float isobit_baseline_cross_entropy(const void* logits, const int64_t* targets, float* row_loss, void* grad,
                                    int64_t rows, int64_t classes, float upstream, int32_t dtype, int32_t variant,
                                    int32_t threads);

/* How an element-wise loss or an optimizer goes through memory. */
enum {
    kPlain = 0, /* one loop */
    kOther = 1, /* a loss: gradients by non-temporal stores; an optimizer: a loop for each tensor that is written */
};

/*
 * Binary cross-entropy with logits, loss and gradient: each element's loss l = (1 - y) softplus(x) + w y softplus(-x),
 * grad = upstream dl/dx; returns upstream times the sum of the losses.
 * logits, grad: [elements], of dtype; targets y: floats in [0, 1]; pos_weight w: [labels], for element i that of label
 * i % labels, or NULL for 1; loss: [elements], or NULL. grad may not overlap logits. Logits are finite.
 */
float isobit_baseline_bce(const void* logits, const float* targets, const float* pos_weight, float* loss, void* grad,
                          int64_t elements, int64_t labels, float upstream, int32_t dtype, int32_t variant,
                          int32_t threads);

/*
 * AdamW: m += w1 (g - m); v += w2 (g^2 - v); p = p decay + neg_step m / (sqrt(v) rsqrt_bc2 + eps), in float32. Parameters and
 * gradients are of dtype, moments of moment_dtype.
 */
void isobit_baseline_adamw(const isobit_baseline_tensor* tensors, int64_t tensor_count, float w1, float w2,
                           float neg_step, float rsqrt_bc2, float eps, float decay, int32_t dtype, int32_t moment_dtype,
                           int32_t variant, int32_t threads);

/*
 * AdamW with what comes before it, all F32: gradients are those of a loss times grad_scale; they are divided by it and, where
 * their norm over all tensors is above max_norm, brought to that. Returns the norm before; where it is not finite, because a
 * gradient or the sum of the squares is not, nothing is written.
 */
double isobit_baseline_adamw_clipped(const isobit_baseline_tensor* tensors, int64_t tensor_count, float w1, float w2,
                                     float neg_step, float rsqrt_bc2, float eps, float decay, float grad_scale,
                                     float max_norm, int32_t variant, int32_t threads);

/*
 * SGD with momentum, not its first step: g += weight_decay p; b = momentum b + grad_share g; p += neg_lr b. The momentum buffer
 * b is exp_avg. All F32.
 */
void isobit_baseline_sgd(const isobit_baseline_tensor* tensors, int64_t tensor_count, float neg_lr, float momentum,
                         float grad_share, float weight_decay, int32_t threads);

/* x[i] = x[i] * 1 + 1, in place: 8 bytes of traffic per element. */
void isobit_baseline_stream(float* x, int64_t count, int32_t threads);

/* to[i] = from[i]: 8 bytes of traffic per element, not counting what a store reads first. */
void isobit_baseline_copy(float* to, const float* from, int64_t count, int32_t threads);
