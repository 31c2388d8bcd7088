/*
 * Cross-entropy with options. What holds for the parameters of all kernels stands in params.h.
 *
 * Cross-entropy with any option or operand that cross_entropy_params.h lacks. A call is at most three launches on one stream,
 * in this order, all with the same argument block; grids of any number of blocks:
 *
 *   entry                                                  block  blocks that have work  only with
 *   1. cross_entropy_general_begin                         256    ceil(rows / 8192)      SUMMED_DENOMINATOR and rows > 0,
 *                                                                                        or hits not null; else one
 *   2. cross_entropy_general_loss_<dtype>_<variant>        *      see below              rows > 0; the loss alone
 *      cross_entropy_general_loss_grad_<dtype>_<variant>   *      see below              rows > 0; both, or the gradient alone
 *   3. cross_entropy_general_reduce                        256    ceil(rows / 8192)      loss_parts not null; with rows = 0 too
 *
 *   <dtype>    f32 | bf16 | f16: of the logits and grad_logits
 *   <variant>  column  256: a thread a row, ceil(rows / 256) blocks: any layout
 *              block   256, with 16 bits 128: a block a row, rows blocks: inner = 1
 *
 * Dynamic shared memory: with GENERAL_KEPT and `column`, 256·classes elements of <dtype>; else none. Class c of row r stands
 * at (r / inner)·stride·inner + c·inner + r mod inner. No kernel keeps state from one call to the next, and nothing is to be
 * set to zero; `status` is the host's to reset.
 *
 * A shard: logits are the classes [first_class, first_class + classes) of rows that have all_classes. Targets and class
 * weights are those of whole rows, states those of the shard, saved_states those of whole rows.
 *
 * Who reads (r) and writes (w) what:
 *
 *   field                begin  2   reduce
 *   logits                      r            may be grad_logits itself, no other overlap is allowed
 *   targets              r      r
 *   class_weights        r      r            null: 1
 *   weights              r      r            null: 1
 *   grad_loss                   r            null: 1
 *   divisor                     r   r        null: the denominator is a sum, or rows
 *   row_loss                    w   r        NONE: the caller's loss; else scratch. Null: not wanted
 *   loss                            w
 *   grad_logits                 w            and read, with ACCUMULATE; padding is written, without
 *   lse, entropy                w            null: not wanted
 *   argmax                      w            null: not wanted
 *   hits                 w      rw           null: not wanted
 *   log_probabilities           w            padding is written; null: not wanted
 *   states                     w            null: not wanted
 *   target_logits               w            null: not wanted
 *   saved_states                r            what earlier calls wrote as states, of the same logits, labels and weights of
 *                                            classes; null: there are none. With them states and target_logits are
 *                                            null
 *   saved_target_logits         r            what earlier calls wrote as target_logits, the sum of all shards; null: the
 *                                            logits have them, or they are not needed
 *   weight_parts         w      r   r        only with SUMMED_DENOMINATOR
 *   loss_parts                      rw       null: the loss is not reduced
 *   arrivals                    w   rw       null: as loss_parts
 *   status                      rw           null: not counted
 */
#ifndef ISOBIT_CROSS_ENTROPY_GENERAL_PARAMS_H
#define ISOBIT_CROSS_ENTROPY_GENERAL_PARAMS_H

#include <stdint.h>

#include "cross_entropy_params.h"

enum {
    GENERAL_MEAN = 1,               /* gradient and reduced loss are divided by the denominator */
    GENERAL_SUMMED_DENOMINATOR = 2, /* which is the sum of the weights of rows, unless divisor says it; else rows */
    GENERAL_GRAD_LOSS_PER_ROW = 4,  /* grad_loss is [rows], else one value */
    GENERAL_TARGETS_I32 = 8,        /* targets are int32 */
    GENERAL_TARGETS_I16 = 16,       /* int16 */
    GENERAL_TARGETS_U8 = 32,        /* uint8; without one of these three int64 */
    GENERAL_PROBABILITIES = 64,     /* targets are float, or with the flag below of <dtype>, as many as logits */
    GENERAL_ACCUMULATE = 128,       /* the gradient is added to what is there */
    GENERAL_ZERO = 256,             /* a denominator of 0 makes loss and gradient 0 */
    GENERAL_TARGETS_NARROW = 512,   /* probabilities are of <dtype>, 16 bits */
    GENERAL_ENTROPY = 1024,         /* the entropy's terms are summed, for states or entropy */
    GENERAL_PLACES = 2048,          /* maxima are looked for, for states, argmax or hits */
    GENERAL_KEPT = 4096,            /* `column` keeps the logits of rows in work in dynamic shared memory */

    GENERAL_SEGMENT = 8192,
    /* Of a segment: maximum, count, sum, then sums of labels, of distances, for the entropy; where its maximum is. */
    GENERAL_STATE = 7
};

typedef struct {
    const void* logits;         /* of <dtype>, as inner and stride say */
    const void* targets;        /* [rows], or as logits with GENERAL_PROBABILITIES */
    const float* class_weights; /* [classes] */
    const float* weights;       /* [rows] */
    const float* grad_loss;     /* null, one value, or [rows] */
    const float* divisor;       /* null or one value */
    float* row_loss;            /* [rows] */
    float* loss;                /* one value */
    void* grad_logits;          /* as logits */
    float* lse;                 /* [rows] */
    float* entropy;             /* [rows] */
    int64_t* argmax;            /* [rows] */
    uint64_t* hits;             /* one value */
    float* log_probabilities;   /* as logits */
    float* states;              /* [ceil(classes / 8192)][rows][GENERAL_STATE] */
    float* target_logits;       /* [rows]: after scale and softcap; +0 of a row that is ignored, of no target here */
    const float* saved_states;  /* [ceil(all_classes / 8192)][rows][GENERAL_STATE] */
    const float* saved_target_logits; /* [rows] */
    float* weight_parts;              /* scratch: [ceil(rows / 8192)] */
    float* loss_parts;                /* scratch: [ceil(rows / 8192)] */
    uint32_t* arrivals;               /* scratch: one value */
    cross_entropy_status* status;     /* one */
    int64_t rows;                     /* N·d1·..·dk */
    int64_t classes;                  /* C, at least 1; of a shard, its own */
    int64_t first_class;              /* a multiple of 8192; 0 but for shards */
    int64_t all_classes;              /* C; classes but for shards */
    int64_t stride;                   /* classes and padding */
    int64_t inner;                    /* d1·..·dk */
    int64_t ignore_index;             /* may lie inside [0, all_classes) */
    float keep;                       /* float(1 - label smoothing) */
    float smooth;                     /* float(label smoothing / all_classes) */
    float z_loss;                     /* 0: none */
    float scale;                      /* 1: none */
    float softcap;                    /* 0: none */
    float softcap_rate;               /* float(2 / softcap) */
    float grad_loss_scale;            /* what grad_loss is multiplied by */
    uint32_t flags;                   /* of the enum above, by or */
} cross_entropy_general_params;

#endif
