/*
 * Gradients summed over micro-batches. What holds for the parameters of all kernels stands in params.h.
 *
 * One launch for all parameters of an optimizer: accumulate_grad; block 256, no dynamic shared memory, any grid; chunks with
 * the rules of adam_params.h. With chunk_count = 0: no launch. Before it guard_set, where the host has enabled or disabled a
 * group; after some of it a guarded step, whose gradients are the accumulators, with GUARD_ZERO_GRAD.
 */
#ifndef ISOBIT_ACCUMULATE_PARAMS_H
#define ISOBIT_ACCUMULATE_PARAMS_H

#include <stdint.h>

#include "guard_params.h"

enum {
    ACCUMULATE_ZERO_GRAD = 1, /* gradients of enabled groups are zero afterwards */

    ACCUMULATE_CHUNK = 2048
};

typedef struct {
    float* accumulator; /* read and written */
    void* grad;         /* of its dtype: read; see ACCUMULATE_ZERO_GRAD */
    int32_t count;      /* elements */
    int32_t group;      /* any of the optimizer */
    uint32_t dtype;     /* DTYPE_F32, DTYPE_BF16 or DTYPE_F16 */
    uint32_t reserved;  /* 0 */
} accumulate_chunk;

typedef struct {
    const accumulate_chunk* chunks; /* [chunk_count] on the device */
    const guard_control* controls;  /* of the guarded step: whether a group is disabled */
    int64_t chunk_count;
    uint32_t flags;    /* of the enum above, by or */
    uint32_t reserved; /* 0 */
} accumulate_params;

#endif
