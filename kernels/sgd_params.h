/*
 * SGD. What holds for the parameters of all kernels stands in params.h.
 *
 * As Adam: one launch per step, sgd_step_f32, or sgd_step_mixed, block 256, no dynamic shared memory, any grid; chunks and groups with the
 * same rules.
 */
#ifndef ISOBIT_SGD_PARAMS_H
#define ISOBIT_SGD_PARAMS_H

#include <stdint.h>

#include "guard_params.h"

enum {
    SGD_MAXIMIZE = 1,     /* the gradient's sign is turned */
    SGD_WEIGHT_DECAY = 2, /* weight_decay is used, else it is not looked at */
    SGD_NESTEROV = 4,     /* the parameter moves along gradient and momentum */
    SGD_FIRST = 8,        /* the momentum buffer becomes the gradient, whatever it holds */
    SGD_DISABLED = 16,    /* the group's chunks stay as they are; no other field is looked at */

    SGD_CHUNK = 2048,
    SGD_GROUPS = 64
};

typedef struct {
    float* param;           /* read and written */
    const float* grad;      /* read */
    float* momentum_buffer; /* read and written; null without momentum */
    int32_t count;          /* elements */
    int32_t group;          /* which of the groups of the launch */
} sgd_chunk;

/* The chunk of an entry with mixed in its name: see guard_params.h. */
typedef struct {
    void* param;           /* F32, BF16 or F16; with a master of F32 written only */
    const void* grad;      /* F32, BF16 or F16 */
    void* momentum_buffer; /* F32 or BF16; null without momentum */
    void* master;          /* read and written: F32, or with a param of BF16 I16; null for none */
    int32_t count;         /* elements */
    int32_t group;         /* which of the groups of the launch */
    uint32_t dtypes;     /* DTYPE_... of the arrays in this order, four bits each, the first lowest; MIXED_STOCHASTIC */
    uint32_t first;      /* MIXED_STOCHASTIC: lower half of the index of the first element in its parameter */
    uint32_t key_first;  /* MIXED_STOCHASTIC: the keys of these elements, whatever the step */
    uint32_t key_second; /* */
} sgd_mixed_chunk;

typedef struct {
    float neg_lr;
    float momentum;
    float grad_share;   /* the gradient's in the momentum buffer: 1 - dampening */
    float weight_decay; /* see SGD_WEIGHT_DECAY */
    uint32_t flags;     /* of the enum above, by or */
} sgd_group;

typedef struct {
    const sgd_chunk* chunks;      /* [chunk_count] on the device */
    int64_t chunk_count;          /* of this launch */
    sgd_group groups[SGD_GROUPS]; /* those that chunks name */
} sgd_params;

/* The same in a step of mixed types that is not guarded. */
typedef struct {
    sgd_group scalars;
    uint32_t reserved; /* 0 */
    int64_t step;      /* from 1 */
} sgd_mixed_group;

typedef struct {
    const sgd_mixed_chunk* chunks;      /* [chunk_count] on the device */
    int64_t chunk_count;                /* of this launch */
    sgd_mixed_group groups[SGD_GROUPS]; /* those that chunks name */
} sgd_mixed_params;

/* Settings are groups: of these neg_lr, SGD_FIRST and SGD_DISABLED are not looked at. */
typedef struct {
    guard_params guard;
    const sgd_chunk* chunks; /* of a mixed entry sgd_mixed_chunk */
    int64_t chunk_count;
    const sgd_group* settings; /* [group_count] */
    sgd_group* groups;         /* [group_count] set by the host to 0 once, then scratch */
} sgd_guarded_params;

#endif
