/*
 * Everything that crosses from Java to a kernel: one plain C struct per op, passed by value as the only argument of
 * every entry of that op. Plain C, so that gcc writes the table of offsets (ptx/params.json) that Java is checked
 * against. One field per line, pointers and 64-bit fields first, no hole between fields: a row that breaks this fails
 * the build (native-build/build-ptx).
 *
 * All pointers are device pointers. Float arrays need the natural alignment of 4 bytes and no more, targets that of
 * their type, scratch of int64 8 bytes. Offsets inside kernels are 64-bit.
 */
#ifndef ISOBIT_PARAMS_H
#define ISOBIT_PARAMS_H

#include <stdint.h>

/* ------------------------------------------------------------------------------------------------ cross-entropy
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

/* Targets outside [0, classes) that are not ignore_index. Row launches add to it; the host resets it to {0, ~0}. */
typedef struct {
    uint64_t bad_targets;   /* how many since the last reset */
    uint64_t first_bad_row; /* the lowest row among them; 2^64 - 1 while there is none */
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

/* ------------------------------------------------------------------------------------------------ cross-entropy with options
 *
 * Cross-entropy with any option or operand that the one above has not. A call is at most four launches on one stream, in
 * this order, all with the same argument block; grids of any number of blocks but `begin`'s, which is one:
 *
 *   entry                                              block  blocks that have work  only with
 *   1. cross_entropy_general_weigh_f32                 256    ceil(rows / 8192)      SUMMED_DENOMINATOR and rows > 0
 *   2. cross_entropy_general_begin_f32                 256    1                      MEAN, or loss_parts or hits not null
 *   3. cross_entropy_general_loss_f32_<variant>        256    see below              rows > 0; the loss alone
 *      cross_entropy_general_loss_grad_f32_<variant>   256    see below              rows > 0; both, or the gradient alone
 *   4. cross_entropy_general_reduce_f32                256    ceil(rows / 8192)      loss_parts not null; with rows = 0 too
 *
 *   <variant>  column  a thread a row, ceil(rows / 256) blocks: any layout
 *              block   a block a row, rows blocks: inner = 1
 *
 * No dynamic shared memory. Class c of row r stands at (r / inner)·stride·inner + c·inner + r mod inner. No kernel keeps
 * state from one call to the next, and nothing is to be set to zero; `status` is the host's to reset.
 *
 * Who reads (r) and writes (w) what:
 *
 *   field           weigh  begin  3   reduce
 *   logits                        r            may be grad_logits itself, no other overlap is allowed
 *   targets         r             r
 *   class_weights   r             r            null: 1
 *   weights         r             r            null: 1
 *   grad_loss                     r            null: 1
 *   divisor                r                   null: the denominator is a sum, or rows
 *   row_loss                      w   r        NONE: the caller's loss; else scratch. Null: not wanted
 *   loss                              w
 *   grad_logits                   w            and read, with ACCUMULATE; padding is written, without
 *   lse, entropy                  w            null: not wanted
 *   argmax                        w            null: not wanted
 *   hits                   w      rw           null: not wanted
 *   log_probabilities             w            padding is written; null: not wanted
 *   states                        w            null: not wanted
 *   saved_states                  r            what an earlier call wrote as states, of the same logits, labels and
 *                                              weights of classes; null: there are none. With them the gradient alone:
 *                                              of the outputs only grad_logits, and row_loss is null
 *   weight_parts    w      r
 *   denominator            w      r   r        only with MEAN
 *   loss_parts                        rw       null: the loss is not reduced
 *   arrivals               w          rw       null: as loss_parts
 *   status                        rw           null: not counted
 */
enum {
    GENERAL_MEAN = 1,               /* gradient and reduced loss are divided by the denominator */
    GENERAL_SUMMED_DENOMINATOR = 2, /* which is the sum of the weights of rows, unless divisor says it; else rows */
    GENERAL_GRAD_LOSS_PER_ROW = 4,  /* grad_loss is [rows], else one value */
    GENERAL_TARGETS_I32 = 8,        /* targets are int32 */
    GENERAL_TARGETS_I16 = 16,       /* int16 */
    GENERAL_TARGETS_U8 = 32,        /* uint8; without one of these three int64 */
    GENERAL_PROBABILITIES = 64,     /* targets are float, as many as logits */
    GENERAL_ACCUMULATE = 128,       /* the gradient is added to what is there */
    GENERAL_ZERO = 256,             /* a denominator of 0 makes loss and gradient 0 */

    GENERAL_SEGMENT = 8192,
    GENERAL_STATE = 6 /* of a segment: maximum, count, sum, then sums of labels, of distances, for the entropy */
};

typedef struct {
    const float* logits;          /* as inner and stride say */
    const void* targets;          /* [rows], or as logits with GENERAL_PROBABILITIES */
    const float* class_weights;   /* [classes] */
    const float* weights;         /* [rows] */
    const float* grad_loss;       /* null, one value, or [rows] */
    const float* divisor;         /* null or one value */
    float* row_loss;              /* [rows] */
    float* loss;                  /* one value */
    float* grad_logits;           /* as logits */
    float* lse;                   /* [rows] */
    float* entropy;               /* [rows] */
    int64_t* argmax;              /* [rows] */
    uint64_t* hits;               /* one value */
    float* log_probabilities;     /* as logits */
    float* states;                /* [rows][ceil(classes / 8192)][GENERAL_STATE] */
    const float* saved_states;    /* as states */
    float* weight_parts;          /* scratch: [ceil(rows / 8192)] */
    double* denominator;          /* scratch: one value */
    float* loss_parts;            /* scratch: [ceil(rows / 8192)] */
    uint32_t* arrivals;           /* scratch: one value */
    cross_entropy_status* status; /* one */
    int64_t rows;                 /* N·d1·..·dk */
    int64_t classes;              /* C, at least 1 */
    int64_t stride;               /* classes and padding */
    int64_t inner;                /* d1·..·dk */
    int64_t ignore_index;         /* may lie inside [0, classes) */
    float keep;                   /* float(1 - label smoothing) */
    float smooth;                 /* float(label smoothing / classes) */
    float z_loss;                 /* 0: none */
    float scale;                  /* 1: none */
    float softcap;                /* 0: none */
    float softcap_rate;           /* float(2 / softcap) */
    float grad_loss_scale;        /* what grad_loss is multiplied by */
    uint32_t flags;               /* of the enum above, by or */
} cross_entropy_general_params;

/* ------------------------------------------------------------------------------------------------ BCE with logits
 *
 * Elements are numbered flat; 8192 of them are a segment. A call is at most three launches on one stream, in this order,
 * all with the same argument block; grids of any number of blocks but `begin`'s, which is one; no dynamic shared memory;
 * ceil(count / 8192) blocks have work:
 *
 *   entry, <dtype> of logits and grad_logits: f32, bf16, f16   block
 *   1. bce_with_logits_weigh_<dtype>       256   only with BCE_SUMMED_DENOMINATOR and count > 0
 *   2. bce_with_logits_begin_<dtype>       256   only where 1 runs, or a loss is asked for that is no
 *                                                BCE_LOSS_PER_ELEMENT; one block
 *   3. bce_with_logits_loss_<dtype>        *     the loss alone (and sigmoid)
 *      bce_with_logits_grad_<dtype>        *     the gradient alone (and sigmoid)
 *      bce_with_logits_loss_grad_<dtype>   *     both (and sigmoid)
 *      With count = 0 only where 2 runs.       * 256 for f32, 128 for bf16 and f16: a thread has one 128-bit access of lanes
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
    float keep;         /* float(1 - label smoothing) */
    float half;         /* float(label smoothing / 2) */
    float ignore_value; /* see BCE_IGNORE_VALUE */
    uint32_t flags;     /* of the enum above, by or */
} bce_with_logits_params;

/* ------------------------------------------------------------------------------------------------ Adam and AdamW
 *
 * One launch per step: adam_step_f32, or adam_step_f32_amsgrad, block 256, no dynamic shared memory, any grid of 1 block
 * or more; one warp takes one chunk at a time, so that ceil(chunk_count / 8) blocks have work. With chunk_count = 0: no
 * launch. More than ADAM_GROUPS groups take a launch for each so many, with the chunks of these.
 *
 * The host cuts each tensor into chunks of ADAM_CHUNK elements (the last of a tensor may be shorter, none is empty) and
 * writes the table to the device once. Chunks in any order; no two overlap. The kernel takes any count up to 2^30, but
 * one warp works through it alone. Where the pointers of a chunk are equal modulo 16, elements move as 128-bit accesses
 * behind a peeled head, else one by one; cut a tensor at multiples of ADAM_CHUNK and its chunks keep its alignment.
 */
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

/* ------------------------------------------------------------------------------------------------ SGD
 *
 * As Adam: one launch per step, sgd_step_f32, block 256, no dynamic shared memory, any grid; chunks and groups with the
 * same rules.
 */
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

/* ------------------------------------------------------------------------------------------------ softmax
 *
 * Softmax and log-softmax along one axis of [outer, classes, inner], and their gradients. A call is one launch, with
 * elements; every kernel is right with any grid of 1 block or more:
 *
 *   entry                      inner  classes    block  blocks that have work
 *   softmax_forward_f32_warp   1      1 .. 1024  128    ceil(outer / 16) for classes <= 256, else ceil(outer / 4)
 *   softmax_forward_f32_block  1      any        256    outer
 *   softmax_forward_f32_column any    any        128    ceil(outer * inner / 128)
 *   softmax_grad_f32_warp      as forward
 *   softmax_grad_f32_block
 *   softmax_grad_f32_column
 *
 * No dynamic shared memory. Variants that both do a shape give the same bits.
 *
 *   field        forward  grad
 *   input        r        r     logits; grad: what forward wrote. May be result itself, no other overlap is allowed
 *   grad_output           r     the same
 *   result       w        w     forward: probabilities or log-probabilities; grad: the gradient of the logits
 */
enum {
    SOFTMAX_LOG = 1, /* log-softmax */

    SOFTMAX_WARP_CLASSES = 1024,
    SOFTMAX_SEGMENT = 8192
};

typedef struct {
    const float* input;
    const float* grad_output;
    float* result;
    int64_t outer;
    int64_t classes; /* at least 1 */
    int64_t inner;
    uint32_t flags;   /* of the enum above */
    int32_t reserved; /* 0 */
} softmax_params;

/* ------------------------------------------------------------------------------------------------ NLL
 *
 * Negative log-likelihood of class indices from log-probabilities [outer, classes, inner]; a row is one outer and one
 * inner. A call is at most three launches on one stream, in this order, all with the same argument block; grids of any
 * number of blocks, blocks of 256 threads, no dynamic shared memory:
 *
 *   entry                 when                                        blocks that have work
 *   nll_loss_weigh_f32    MEAN, with rows                             ceil(rows / 8192)
 *   nll_loss_rows_f32     with rows                                   ceil(rows / rows_per_block)
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
enum {
    NLL_LOSS_MEAN = 1,              /* the gradient and the reduced loss are divided by the sum of the weights */
    NLL_LOSS_GRAD_LOSS_PER_ROW = 2, /* grad_loss is [rows], else one value */
    NLL_LOSS_TARGETS_I32 = 4,       /* targets are int32, else int64 */

    NLL_LOSS_SEGMENT = 8192
};

typedef struct {
    const float* log_probabilities;
    const void* targets;        /* [rows] int64, or int32 with NLL_LOSS_TARGETS_I32 */
    const float* class_weights; /* [classes] */
    const float* grad_loss;     /* null, one value, or [rows] */
    float* row_loss;            /* [rows] */
    float* loss;                /* one value */
    float* grad_log_probabilities;
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

/* ------------------------------------------------------------------------------------------------ guarded steps
 *
 * A step that looks at the gradients first, on the device, and may be skipped: launches on one stream, in this order, 2
 * and 3 with the same argument block, whose first field is the argument block of 1:
 *
 *   0. guard_set                       only where the host changes a learning rate, or enables or disables a group: before
 *                                      the first step all of them
 *   1. guard_square_f32                only with GUARD_CHECK and segments > 0; any grid, a segment is work for a block
 *   2. adam_begin, sgd_begin           one block
 *   3. adam_step_f32_guarded, adam_step_f32_amsgrad_guarded, sgd_step_f32_guarded
 *                                      only with chunk_count > 0; any grid, as the step that is not guarded
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
 */
enum {
    GUARD_CHECK = 1,     /* the norm is computed; where it is not finite the step is skipped */
    GUARD_SCALING = 2,   /* grad_scale backs off and grows */
    GUARD_ZERO_GRAD = 4, /* gradients of enabled groups are zero after the step, skipped or not */

    GUARD_PIECE = 1024,
    GUARD_SEGMENT = 8192,
    GUARD_CONTROLS = 64
};

/* Elements of one gradient. */
typedef struct {
    const float* grad;
    int32_t position; /* of its first element, in its segment */
    int32_t count;    /* 1 .. GUARD_PIECE; ends at a multiple of GUARD_PIECE or before */
    int32_t group;
    int32_t reserved; /* 0 */
} guard_piece;

/* What the host changes of a group. */
typedef struct {
    double lr;         /* the schedule's factor multiplies it */
    uint32_t disabled; /* 1: the group stays as it is, its gradients are not looked at */
    uint32_t reserved; /* 0 */
} guard_control;

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
    double grad_norm;       /* of the last step's gradients, unscaled */
    int64_t growth_tracker; /* steps since the scale changed, or one was skipped */
    int64_t skipped_steps;  /* how many were skipped */
    float grad_scale;       /* of the next step's gradients */
    float grad_factor;      /* what the last step's gradients were multiplied by */
    uint32_t found_inf;     /* 1: the last step was skipped */
    uint32_t reserved;      /* 0 */
} guard_state;

typedef struct {
    const guard_piece* pieces;    /* in the order of the row */
    const int64_t* first_pieces;  /* [segments + 1] */
    guard_control* controls;      /* [group_count] */
    float* parts;                 /* scratch: [segments] */
    guard_state* state;           /* one */
    int64_t* steps;               /* [group_count] steps done */
    const lr_schedule* schedules; /* [group_count] */
    int64_t segments;             /* ceil(elements / GUARD_SEGMENT) */
    int64_t group_count;
    int64_t growth_interval; /* see GUARD_SCALING */
    double max_norm;         /* infinity: gradients are not clipped by norm */
    float clip_value;        /* infinity: gradients are not clipped by value */
    float growth_factor;     /* see GUARD_SCALING */
    float backoff_factor;    /* see GUARD_SCALING */
    uint32_t flags;          /* of the enum above, by or */
} guard_params;

typedef struct {
    guard_control* to;                      /* of the guard's controls, the first to be written */
    int64_t count;                          /* how many */
    guard_control controls[GUARD_CONTROLS]; /* their new values */
} guard_set_params;

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
    const adam_chunk* chunks;
    int64_t chunk_count;
    const adam_setting* settings; /* [group_count] */
    adam_group* groups;           /* [group_count] set by the host to 0 once, then scratch */
} adam_guarded_params;

/* Settings are groups: of these neg_lr, SGD_FIRST and SGD_DISABLED are not looked at. */
typedef struct {
    guard_params guard;
    const sgd_chunk* chunks;
    int64_t chunk_count;
    const sgd_group* settings; /* [group_count] */
    sgd_group* groups;         /* [group_count] set by the host to 0 once, then scratch */
} sgd_guarded_params;

#endif
