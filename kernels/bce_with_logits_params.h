/*
 * BCE with logits. What holds for the parameters of all kernels stands in params.h.
 *
 * Elements are numbered flat; 8192 of them are a segment. A call is at most three launches on one stream, in this order,
 * all with the same argument block; grids of any number of blocks but `begin`'s, which is one; no dynamic shared memory;
 * ceil(count / 8192) blocks have work:
 *
 *   entry, <dtype> of logits and grad_logits: f32, bf16, f16   block
 *   1. bce_with_logits_weigh_<dtype>       256   only with BCE_SUMMED_DENOMINATOR and count > 0
 *   2. bce_with_logits_begin_<dtype>       256   only where 1 runs, or a loss is asked for that is no
 *                                                BCE_LOSS_PER_ELEMENT; one block
 *   3. bce_with_logits_<focal>loss_<dtype>        *     the loss alone (and sigmoid)
 *      bce_with_logits_<focal>grad_<dtype>        *     the gradient alone (and sigmoid)
 *      bce_with_logits_<focal>loss_grad_<dtype>   *     both (and sigmoid)
 *      With count = 0 only where 2 runs.       * 256 for f32, 128 for bf16 and f16: a thread has one 128-bit access of lanes
 *
 *   <focal>  empty, or focal_ for the focal loss: a module of its own, loaded when it is needed; pos_weight is null
 *
 * No kernel keeps state from one call to the next, and nothing is to be set to zero.
 *
 * Who reads (r) and writes (w) what:
 *
 *   field          weigh  begin  3
 *   logits                       r    may be grad_logits itself, no other overlap is allowed
 *   targets        r             r
 *   mask           r             r    null: nothing is masked
 *   pos_weight                   r    null: 1
 *   weights        r             r    null: 1
 *   grad_loss                    r    null: 1
 *   loss                         w    null: not wanted
 *   grad_logits                  w
 *   sigmoid                      w    null: not wanted
 *   weight_parts   w      r
 *   denominator           w      r    only with BCE_SUMMED_DENOMINATOR
 *   loss_parts                   rw   null: the loss is not reduced
 *   arrivals              w      rw   null: as loss_parts
 */
#ifndef ISOBIT_BCE_WITH_LOGITS_PARAMS_H
#define ISOBIT_BCE_WITH_LOGITS_PARAMS_H

#include <stdint.h>

enum {
    BCE_MEAN = 1,                  /* the gradient and the reduced loss are divided by the denominator */
    BCE_SUMMED_DENOMINATOR = 2,    /* the denominator is a sum over the elements that are not ignored, else count */
    BCE_GRAD_LOSS_PER_ELEMENT = 4, /* grad_loss is [count], else one value */
    BCE_LOSS_PER_ELEMENT = 8,      /* loss is [count], else one value */
    BCE_POS_WEIGHT_FULL = 16,      /* pos_weight is [count]; its axes are not looked at */
    BCE_WEIGHTS_FULL = 32,         /* weights are [count]; their axes are not looked at */
    BCE_WIDE_INDEX = 64,           /* count is 2^32 or more */
    BCE_MASK_FULL = 128,           /* mask is [count]; its axes are not looked at */
    BCE_TARGETS_U8 = 256,          /* targets are uint8, else float */
    BCE_IGNORE_VALUE = 512,        /* elements whose target is ignore_value are ignored */
    BCE_WEIGHTED_MEAN = 1024,      /* what the summed denominator adds is the weight, else 1 */
    BCE_TARGETS_NARROW = 2048,     /* targets are of the type of the logits, 16 bits */
    BCE_TARGETS_BITS = 4096,       /* with BCE_TARGETS_U8: element i is bit i mod 8, the lowest first, of byte i / 8 */

    BCE_SEGMENT = 8192
};

/* A group of neighbouring axes along which a weight does not repeat. Where there is none: 1, 1, 0. */
typedef struct {
    int64_t inner;  /* elements of the logits that share an index of the group */
    int64_t size;   /* indices */
    int64_t stride; /* between the weights of two neighbouring indices */
} bce_with_logits_group;

/* The weight of element i stands at the sum over the groups of ((i / inner) mod size)·stride. */
typedef struct {
    bce_with_logits_group group0; /* innermost; groups that are used come first */
    bce_with_logits_group group1;
    bce_with_logits_group group2;
    bce_with_logits_group group3;
} bce_with_logits_axes;

typedef struct {
    const void* logits;      /* [count] of <dtype> */
    const void* targets;     /* [count] float, or uint8 with BCE_TARGETS_U8, or <dtype> with BCE_TARGETS_NARROW */
    const uint8_t* mask;     /* as mask_axes say: 0 where an element is ignored */
    const float* pos_weight; /* as pos_weight_axes say */
    const float* weights;    /* as weights_axes say */
    const float* grad_loss;  /* null, one value, or [count] */
    float* loss;             /* null, one value, or [count] */
    void* grad_logits;       /* [count] of <dtype> */
    float* sigmoid;          /* null or [count] */
    float* weight_parts;     /* scratch: [ceil(count / 8192)] */
    double* denominator;     /* scratch: one value */
    float* loss_parts;       /* scratch: [ceil(count / 8192)] */
    uint32_t* arrivals;      /* scratch: one value */
    int64_t count;           /* elements */
    bce_with_logits_axes pos_weight_axes;
    bce_with_logits_axes weights_axes;
    bce_with_logits_axes mask_axes;
    float keep;           /* float(1 - label smoothing) */
    float half;           /* float(label smoothing / 2) */
    float ignore_value;   /* see BCE_IGNORE_VALUE */
    uint32_t flags;       /* of the enum above, by or */
    float focal_alpha;    /* weight of positives; 1 where there is none. These four are read by the focal loss alone */
    float focal_rest;     /* of negatives: float(1 - alpha); 1 where there is none */
    float focal_gamma;    /* the exponent */
    int32_t focal_halves; /* twice that: 0 .. 16 */
} bce_with_logits_params;

#endif
