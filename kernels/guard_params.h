/*
 * Guarded steps of an optimizer. What holds for the parameters of all kernels stands in params.h.
 *
 * A step that looks at the gradients first, on the device, and may be skipped: one cooperative launch, or three that are not,
 * with the same bits, on one stream. Before it, where the host changes a learning rate or the divisor, or enables or disables
 * a group, and before the first step for all of them:
 *
 *   0. guard_set                       one block
 *
 * The cooperative launch, of as many blocks as run at once, or fewer:
 *
 *      adam_guarded_f32, adam_guarded_f32_amsgrad, sgd_guarded_f32, the same with mixed for f32
 *
 * which does what these three do in this order, 2 and 3 with its argument block, whose first field is that of 1:
 *
 *   1. guard_square_f32, guard_square_mixed
 *                                      only with GUARD_CHECK and segments > 0; any grid, a segment is work for a block
 *   2. adam_begin, sgd_begin           one block
 *   3. adam_step_f32_guarded, adam_step_f32_amsgrad_guarded, sgd_step_f32_guarded, the same with mixed for f32
 *                                      only with chunk_count > 0; any grid, as the step that is not guarded
 *
 * Where a parameter, gradient or moment is not float32, or what is added to an accumulator, the cooperative launch, 1 and 3 are
 * those with mixed in their name.
 *
 * Gradients summed over micro-batches: a launch for each of these, or within the cooperative launch, with GUARD_ACCUMULATE,
 *
 *      accumulate_grad                 with the argument block of 1; sum_count > 0; any grid, chunks with the rules of
 *                                      adam_params.h
 *
 * The gradients of 1, 2 and 3 are then the accumulators, float32, with GUARD_ZERO_GRAD.
 *
 * Blocks of 256 threads, no dynamic shared memory. All groups are in one launch: a chunk names any of them.
 *
 * The elements of all parameters are one row, in the order of the groups, their parameters, their elements; 8192 of them
 * are a segment. The host cuts each gradient at the multiples of GUARD_PIECE of that row.
 *
 * Who reads (r) and writes (w) what:
 *
 *   field          0   1   2   3
 *   pieces             r
 *   first_pieces       r
 *   controls       w   r   r
 *   parts              w   r
 *   state                  rw  r   set by the host before the first step, or to resume a run
 *   steps                  rw      likewise
 *   schedules              r       set by the host once
 *   settings               r       set by the host once
 *   groups                 w   r
 *   barrier                        of the cooperative launch alone: set by the host to 0 once
 */
#ifndef ISOBIT_GUARD_PARAMS_H
#define ISOBIT_GUARD_PARAMS_H

#include <stdint.h>

enum {
    GUARD_CHECK = 1,       /* the norm is computed; where it is not finite the step is skipped */
    GUARD_SCALING = 2,     /* grad_scale backs off and grows */
    GUARD_ZERO_GRAD = 4,   /* gradients of enabled groups are zero after the step, skipped or not */
    GUARD_ACCUMULATE = 8,  /* of the cooperative launch alone: it does first what accumulate_grad does */
    GUARD_ZERO_ADDED = 16, /* gradients of enabled groups are zero once they are added to accumulators */

    GUARD_PIECE = 1024,
    GUARD_SEGMENT = 8192,
    GUARD_RUNS = 64
};

/*
 * Of an optimizer's entries with mixed in their name, whose arrays are of types of their own. Where all arrays of a chunk start
 * at a 16-byte boundary, or the same number of elements before one, elements move as 128-bit accesses.
 *
 * With a master the update works on that: F32, and param becomes its nearest; or I16, what is missing between the bits of
 * param, BF16, and those of a float32: (param << 16) + remainder. A parameter of BF16 without may be rounded stochastically,
 * see dev.isobit.math.RoundingNoise.
 */
enum {
    DTYPE_F32 = 0,  /* float32 */
    DTYPE_BF16 = 1, /* its upper half */
    DTYPE_F16 = 2,  /* binary16 */
    DTYPE_I16 = 3,  /* of master alone: remainders */

    MIXED_STOCHASTIC = 16777216 /* beside dtypes: param, BF16, is rounded stochastically; there is no master */
};

/* Elements of one gradient. */
typedef struct {
    const float* grad; /* of its dtype */
    int32_t position;  /* of its first element, in its segment */
    int32_t count;     /* 1 .. GUARD_PIECE; ends at a multiple of GUARD_PIECE or before */
    int32_t group;
    uint32_t dtype; /* guard_square_f32: DTYPE_F32 */
} guard_piece;

/* What is added to an accumulator. */
typedef struct {
    float* accumulator; /* read and written */
    void* grad;         /* of its dtype: read; see GUARD_ZERO_ADDED */
    int32_t count;      /* elements */
    int32_t group;      /* any of the optimizer */
    uint32_t dtype;     /* DTYPE_F32, DTYPE_BF16 or DTYPE_F16 */
    uint32_t reserved;  /* 0 */
} accumulate_chunk;

/* What the host changes of a group. */
typedef struct {
    double lr;          /* the schedule's factor multiplies it */
    uint32_t disabled;  /* 1: the group stays as it is, its gradients are not looked at */
    float grad_divisor; /* of all gradients; that of the first group is looked at */
} guard_control;

/* Neighbouring groups that the host sets to the same. */
typedef struct {
    int64_t first; /* of the groups */
    int64_t count; /* how many */
    guard_control control;
} guard_run;

/* Shapes of a schedule after its warm-up. */
enum {
    SCHEDULE_CONSTANT = 0,
    SCHEDULE_LINEAR = 1,
    SCHEDULE_COSINE = 2, /* half of one */
    SCHEDULE_STEP = 3
};

/* How a group's learning rate changes with the steps that it has done: schedule.cuh. All zeros: it does not. */
typedef struct {
    int64_t warmup_steps; /* 0: no warm-up */
    int64_t decay_steps; /* at least 1: until the decay ends; SCHEDULE_STEP: of each of its steps. Else not looked at */
    double warmup_start; /* factor of the first step, in [0, 1] */
    double decay;        /* factor at the end; SCHEDULE_STEP: of each step; in [0, 1] */
    uint32_t shape;      /* of the enum above */
    uint32_t reserved;   /* 0 */
} lr_schedule;

typedef struct {
    double grad_norm;       /* of the last step's gradients, divided */
    int64_t growth_tracker; /* steps since the scale changed, or one was skipped */
    int64_t skipped_steps;  /* how many were skipped */
    float grad_scale;       /* of the next step's gradients */
    float grad_factor;      /* what the last step's gradients were multiplied by */
    uint32_t found_inf;     /* 1: the last step was skipped */
    uint32_t reserved;      /* 0 */
} guard_state;

/* Where the blocks of a cooperative launch meet. */
typedef struct {
    uint32_t arrived; /* blocks that wait; 0 between launches */
    uint32_t passed;  /* meetings that are over, by 2^32 */
} grid_barrier;

typedef struct {
    const guard_piece* pieces;    /* in the order of the row */
    const int64_t* first_pieces;  /* [segments + 1] */
    guard_control* controls;      /* [group_count] */
    float* parts;                 /* scratch: [segments] */
    guard_state* state;           /* one */
    int64_t* steps;               /* [group_count] steps done */
    const lr_schedule* schedules; /* [group_count] */
    grid_barrier* barrier;        /* one */
    const accumulate_chunk* sums; /* [sum_count] of accumulate_grad and GUARD_ACCUMULATE */
    int64_t sum_count;
    int64_t segments; /* ceil(elements / GUARD_SEGMENT) */
    int64_t group_count;
    int64_t growth_interval; /* see GUARD_SCALING */
    double max_norm;         /* infinity: gradients are not clipped by norm */
    float clip_value;        /* infinity: gradients are not clipped by value */
    float growth_factor;     /* see GUARD_SCALING */
    float backoff_factor;    /* see GUARD_SCALING */
    uint32_t flags;          /* of the enum above, by or */
} guard_params;

typedef struct {
    guard_control* controls;    /* of the guard */
    int64_t count;              /* of the runs: 1 .. GUARD_RUNS */
    guard_run runs[GUARD_RUNS]; /* no two of them overlap */
} guard_set_params;

#endif
