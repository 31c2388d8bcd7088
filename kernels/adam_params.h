/*
 * Adam and AdamW. What holds for the parameters of all kernels stands in params.h.
 *
 * One launch per step: adam_step_f32, or adam_step_f32_amsgrad; adam_step_mixed, or adam_step_mixed_amsgrad, where a tensor
 * is not float32, with chunks that tell the types; block 256, no dynamic shared memory, any grid of 1 block
 * or more; one warp takes one chunk at a time, so that ceil(chunk_count / 8) blocks have work. With chunk_count = 0: no
 * launch. More than ADAM_GROUPS groups: a guarded step that guards nothing (guard_params.h), whose groups are in device memory.
 *
 * The host cuts each tensor into chunks of ADAM_CHUNK elements (the last of a tensor may be shorter, none is empty) and
 * writes the table to the device once. Chunks in any order; no two overlap. The kernel takes any count up to 2^30, but
 * one warp works through it alone. Where the pointers of a chunk are equal modulo 16, elements move as 128-bit accesses
 * behind a peeled head, else one by one; cut a tensor at multiples of ADAM_CHUNK and its chunks keep its alignment.
 */
#ifndef ISOBIT_ADAM_PARAMS_H
#define ISOBIT_ADAM_PARAMS_H

#include <stdint.h>

#include "guard_params.h"

enum {
    ADAM_MAXIMIZE = 1,   /* the gradient's sign is turned */
    ADAM_GRAD_DECAY = 2, /* Adam with weight decay: grad_decay is used, else it is not looked at */
    ADAM_DISABLED = 4,   /* the group's chunks stay as they are; no other field is looked at */

    ADAM_CHUNK = 2048,
    ADAM_GROUPS = 64
};

typedef struct {
    float* param;          /* read and written */
    const float* grad;     /* read */
    float* exp_avg;        /* read and written */
    float* exp_avg_sq;     /* read and written */
    float* max_exp_avg_sq; /* read and written by adam_step_f32_amsgrad, else not looked at */
    int32_t count;         /* elements */
    int32_t group;         /* which of the groups of the launch */
} adam_chunk;

/* The chunk of an entry with mixed in its name: see guard_params.h. */
typedef struct {
    void* param;          /* as above: F32, BF16 or F16; with a master of F32 written only */
    const void* grad;     /* F32, BF16 or F16 */
    void* exp_avg;        /* F32 or BF16, as those below */
    void* exp_avg_sq;     /* */
    void* max_exp_avg_sq; /* */
    void* master;         /* read and written: F32, or with a param of BF16 I16; null for none */
    int32_t count;        /* elements */
    int32_t group;        /* which of the groups of the launch */
    uint32_t dtypes;     /* DTYPE_... of the arrays in this order, four bits each, the first lowest; MIXED_STOCHASTIC */
    uint32_t first;      /* MIXED_STOCHASTIC: lower half of the index of the first element in its parameter */
    uint32_t key_first;  /* MIXED_STOCHASTIC: the keys of these elements, whatever the step */
    uint32_t key_second; /* */
} adam_mixed_chunk;

/* What a step does to the parameters of a group. */
typedef struct {
    float w1;
    float w2;
    float neg_step_size;
    float rsqrt_bc2;
    float eps;
    float param_decay; /* AdamW's factor of the parameter; 1 where there is none */
    float grad_decay;  /* see ADAM_GRAD_DECAY */
    uint32_t flags;    /* of the enum above, by or */
} adam_group;

typedef struct {
    const adam_chunk* chunks;       /* [chunk_count] on the device */
    int64_t chunk_count;            /* of this launch */
    adam_group groups[ADAM_GROUPS]; /* those that chunks name */
} adam_params;

/* The same in a step of mixed types that is not guarded. */
typedef struct {
    adam_group scalars;
    int64_t step; /* from 1 */
} adam_mixed_group;

typedef struct {
    const adam_mixed_chunk* chunks;       /* [chunk_count] on the device */
    int64_t chunk_count;                  /* of this launch */
    adam_mixed_group groups[ADAM_GROUPS]; /* those that chunks name */
} adam_mixed_params;

/* What does not change from step to step of a group; see adam_group. */
enum {
    ADAM_PARAM_DECAY = 8,  /* AdamW with weight decay */
    ADAM_EPSILON_HAT = 16, /* eps is added to the uncorrected root */
    ADAM_DECAY_AFTER = 32, /* the parameter decays after the update */
    ADAM_ONNX = 64         /* one step fewer is corrected, the decay is not times lr */
};

typedef struct {
    double weight_decay; /* see ADAM_PARAM_DECAY */
    float w1;
    float w2;
    float eps;
    float grad_decay;  /* see ADAM_GRAD_DECAY */
    uint32_t flags;    /* ADAM_MAXIMIZE, ADAM_GRAD_DECAY, and those above, by or */
    uint32_t reserved; /* 0 */
} adam_setting;

typedef struct {
    guard_params guard;
    const adam_chunk* chunks; /* of a mixed entry adam_mixed_chunk */
    int64_t chunk_count;
    const adam_setting* settings; /* [group_count] */
    adam_group* groups;           /* [group_count] set by the host to 0 once, then scratch */
} adam_guarded_params;

#endif
