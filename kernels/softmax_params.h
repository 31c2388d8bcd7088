/*
 * Softmax and log-softmax. What holds for the parameters of all kernels stands in params.h.
 *
 * Softmax and log-softmax along one axis of [outer, classes, inner], and their gradients. All three arrays are of one type,
 * that of the entry: f32, bf16 or f16, a module each. A call is one launch, with elements; every kernel is right with any
 * grid of 1 block or more:
 *
 *   entry                      inner  classes    block  blocks that have work
 *   softmax_forward_f32_warp   1      1 .. 1024  128    ceil(outer / 16) for classes <= 256, else ceil(outer / 4)
 *   softmax_forward_f32_block  1      any        256    outer
 *   softmax_forward_f32_column any    any        128    ceil(outer * inner / 128)
 *   softmax_grad_f32_warp      as forward
 *   softmax_grad_f32_block
 *   softmax_grad_f32_column
 *
 * With bf16 and f16 the same, but the block of a block a row is 128 threads. No dynamic shared memory. Variants that both
 * do a shape give the same bits.
 *
 *   field        forward  grad
 *   input        r        r     logits; grad: what forward wrote. May be result itself, no other overlap is allowed
 *   grad_output           r     the same
 *   result       w        w     forward: probabilities or log-probabilities; grad: the gradient of the logits
 */
#ifndef ISOBIT_SOFTMAX_PARAMS_H
#define ISOBIT_SOFTMAX_PARAMS_H

#include <stdint.h>

enum {
    SOFTMAX_LOG = 1, /* log-softmax */

    SOFTMAX_WARP_CLASSES = 1024,
    SOFTMAX_SEGMENT = 8192
};

typedef struct {
    const void* input;
    const void* grad_output;
    void* result;
    int64_t outer;
    int64_t classes; /* at least 1 */
    int64_t inner;
    uint32_t flags;   /* of the enum above */
    int32_t reserved; /* 0 */
} softmax_params;

#endif
