/*
 * Cross-entropy without options. What holds for the parameters of all kernels stands in params.h.
 *
 * An op is at most three launches on one stream, in this order, all with the same argument block:
 *
 *   1. cross_entropy_count                          only for MEAN with rows > 0
 *   2. cross_entropy_loss_<dtype>_<variant>         only with rows > 0; the loss alone
 *      cross_entropy_loss_grad_<dtype>_<variant>    only with rows > 0; loss and gradient, or with row_loss = null the
 *                                                   gradient alone
 *   3. cross_entropy_reduce_loss_f32                only for SUM and MEAN where a loss is asked for; with rows = 0 too
 *
 *   <dtype>    f32 | bf16 | f16: of the logits and grad_logits
 *   <variant>  thread | warp | wide | block: how much of a block works on one row
 *
 * No kernel keeps state from one op to the next: nothing is to be set to zero, at allocation or between ops, and an op
 * that broke off between launches leaves nothing behind. The one exception is `status`, which is the host's to reset.
 *
 * Launch shapes (grids are one-dimensional; a row kernel is right with any grid of 1 block or more). Blocks of `thread`,
 * `warp` and `wide` are small work: no more of them than the device holds at once. A row of `block` is much work, and
 * less where it is ignored: there as many blocks as rows spread it best.
 *
 *   entry    classes      block  dynamic shared bytes            blocks that have work
 *   count    any          256    0                               exactly count_blocks
 *   thread   1 .. 32      128    512·classes + 16 *              ceil(rows / 128)
 *   warp     1 .. 1024    128    0                               ceil(rows / 16) for classes <= 256, else ceil(rows / 4)
 *   wide     1 .. 2048    128    0                               ceil(rows / 4)
 *   block    any          256 *  32768·stash_segments            rows
 *   reduce   any          256    0                               ceil(rows / 8192), at least 1
 *
 *   * with 16 bits: 256·classes + 16; a block of 128 threads
 *
 * Which variant to take where two will do: thread for classes <= 32, warp to 1024, wide (a warp with more registers) to
 * 2048, block beyond. All give the same bits.
 *
 * Who reads (r) and writes (w) what:
 *
 *   field              count  loss  loss_grad  reduce
 *   logits                    r     r                  may be grad_logits itself, no other overlap is allowed
 *   targets            r      r     r
 *   grad_loss                       r                  null: 1
 *   row_loss                  w     w          r       NONE: the caller's loss; else scratch. Null: not wanted
 *   loss                                       w
 *   grad_logits                     w                  every element, ignored and invalid rows too
 *   denominator_parts  w            r          r       only with CROSS_ENTROPY_MEAN
 *   loss_parts                                 rw
 *   arrivals                  w     w          rw      null where no reduce launch follows
 *   status                    rw    rw                 null: not counted
 */
#ifndef ISOBIT_CROSS_ENTROPY_PARAMS_H
#define ISOBIT_CROSS_ENTROPY_PARAMS_H

#include <stdint.h>

/* Targets outside [0, classes) that are not ignore_index. Row launches add to it; the host resets the first two words to
 * {0, ~0}. */
typedef struct {
    uint64_t bad_targets;     /* how many since the last reset */
    uint64_t first_bad_row;   /* the lowest row among them; 2^64 - 1 while there is none */
    int64_t first_bad_target; /* the target there; anything while there is none */
} cross_entropy_status;

enum {
    CROSS_ENTROPY_MEAN = 1,              /* the gradient and the reduced loss are divided by the denominator */
    CROSS_ENTROPY_GRAD_LOSS_PER_ROW = 2, /* grad_loss is [rows], else one value */
    CROSS_ENTROPY_TARGETS_I32 = 4,       /* targets are int32, else int64 */

    CROSS_ENTROPY_THREAD_CLASSES = 32,
    CROSS_ENTROPY_WARP_CLASSES = 1024,
    CROSS_ENTROPY_WIDE_CLASSES = 2048,
    CROSS_ENTROPY_SEGMENT = 8192,
    CROSS_ENTROPY_COUNT_BLOCKS = 128 /* the most that count_blocks may be */
};

typedef struct {
    const void* logits;           /* [rows, classes] of <dtype>, row stride classes */
    const void* targets;          /* [rows] int64, or int32 with CROSS_ENTROPY_TARGETS_I32 */
    const float* grad_loss;       /* null, one value, or [rows] */
    float* row_loss;              /* [rows] */
    float* loss;                  /* one value */
    void* grad_logits;            /* [rows, classes] of <dtype>, row stride classes */
    int64_t* denominator_parts;   /* scratch: int64 [count_blocks]; their sum is the denominator */
    float* loss_parts;            /* scratch: [ceil(rows / 8192)] */
    uint32_t* arrivals;           /* scratch: one value */
    cross_entropy_status* status; /* one */
    int64_t rows;                 /* N */
    int64_t classes;              /* C, at least 1 */
    int64_t ignore_index;         /* may lie inside [0, classes) */
    uint32_t flags;               /* of the enum above, by or */
    int32_t count_blocks;   /* the grid of the count launch: 1 .. 128, ceil(rows / 16384) is good; 0 if rows = 0 */
    int32_t stash_segments; /* variant block: segments of a row kept in dynamic shared memory; 0 is always right, more
                               than ceil(classes / 8192) - 1 is of no use, each saves a second read of 32 KiB a row */
    int32_t reserved;       /* 0 */
} cross_entropy_params;

#endif
