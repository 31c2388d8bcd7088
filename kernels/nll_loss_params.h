/*
 * NLL from log-probabilities. What holds for the parameters of all kernels stands in params.h.
 *
 * Negative log-likelihood of class indices from log-probabilities [outer, classes, inner]; a row is one outer and one
 * inner. Log-probabilities and their gradient are of one type, that of the row entry: f32, bf16 or f16, a module each; all
 * else is float32. A call is at most three launches on one stream, in this order, all with the same argument block; grids of any
 * number of blocks, blocks of 256 threads, no dynamic shared memory:
 *
 *   entry                 when                                        blocks that have work
 *   nll_loss_weigh_f32    MEAN, with rows                             ceil(rows / 8192)
 *   nll_loss_rows_<type>  with rows                                   ceil(rows / rows_per_block)
 *   nll_loss_reduce_f32   SUM and MEAN where a loss is asked for      ceil(rows / 8192), at least 1
 *
 *   field                   weigh  rows  reduce
 *   log_probabilities              r             only those of targets; may be grad_log_probabilities itself
 *   targets                 r      r
 *   class_weights           r      r             null: 1
 *   grad_loss                      r             null: 1
 *   row_loss                       w     r       NONE: the caller's loss; else scratch. Null: not wanted
 *   loss                                 w
 *   grad_log_probabilities         w             every element; null: not wanted
 *   weight_parts            w      r     r       only with NLL_LOSS_MEAN
 *   loss_parts                           rw
 *   arrivals                       w     rw      null where no reduce launch follows
 *   status                         rw            null: not counted
 */
#ifndef ISOBIT_NLL_LOSS_PARAMS_H
#define ISOBIT_NLL_LOSS_PARAMS_H

#include <stdint.h>

#include "cross_entropy_params.h"

enum {
    NLL_LOSS_MEAN = 1,              /* the gradient and the reduced loss are divided by the sum of the weights */
    NLL_LOSS_GRAD_LOSS_PER_ROW = 2, /* grad_loss is [rows], else one value */
    NLL_LOSS_TARGETS_I32 = 4,       /* of these three at most one: targets are int32 */
    NLL_LOSS_TARGETS_I16 = 8,       /* int16 */
    NLL_LOSS_TARGETS_U8 = 16,       /* uint8; else int64 */

    NLL_LOSS_SEGMENT = 8192
};

typedef struct {
    const void* log_probabilities;
    const void* targets;        /* [rows] int64, or what the flags say */
    const float* class_weights; /* [classes] */
    const float* grad_loss;     /* null, one value, or [rows] */
    float* row_loss;            /* [rows] */
    float* loss;                /* one value */
    void* grad_log_probabilities;
    float* weight_parts;          /* scratch: [ceil(rows / 8192)] */
    float* loss_parts;            /* scratch: [ceil(rows / 8192)] */
    uint32_t* arrivals;           /* scratch: one value */
    cross_entropy_status* status; /* one */
    int64_t outer;
    int64_t classes; /* at least 1 */
    int64_t inner;
    int64_t ignore_index;   /* may lie inside [0, classes) */
    uint32_t flags;         /* of the enum above, by or */
    int32_t rows_per_block; /* 1 .. 256; about 8192 / classes gives a block enough to write */
} nll_loss_params;

#endif
