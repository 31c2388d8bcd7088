/*
 * A barrier for all blocks of a cooperative launch, of two integers in device memory. The last block to arrive does alone
 * what has to be done once, then lets the others go. It leaves `arrived` at 0 and `passed` one higher, so that nobody has to
 * reset it between launches or replays of a graph. CUDA's own grid.sync would not do: it needs what only its runtime sets up.
 */
#pragma once

#include <stdint.h>

#include "guard_params.h"

namespace isobit {

/* Adds 1; what this thread has seen and written before is seen by whoever acquires it, and the other way round. */
__device__ __forceinline__ uint32_t arrive(uint32_t* count) {
    uint32_t before;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
                 : "=r"(before)
                 : "l"(__cvta_generic_to_global(count))
                 : "memory");
    return before;
}

__device__ __forceinline__ uint32_t load_acquire(const uint32_t* from) {
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(__cvta_generic_to_global(from)) : "memory");
    return value;
}

__device__ __forceinline__ void store_relaxed(uint32_t* to, uint32_t value) {
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(to)), "r"(value) : "memory");
}

__device__ __forceinline__ void store_release(uint32_t* to, uint32_t value) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(to)), "r"(value) : "memory");
}

/* All threads of all blocks come here. The last block calls alone() when all have; then all go on, and see what it has
 * written, and what all wrote before. */
template <typename Alone>
__device__ __forceinline__ void meet(grid_barrier* barrier, Alone alone) {
    /* Nobody passes before this block has arrived. */
    uint32_t passed = 0;
    bool last = false;
    __syncthreads();
    if (threadIdx.x == 0) {
        passed = load_acquire(&barrier->passed);
        last = arrive(&barrier->arrived) == gridDim.x - 1;
    }
    if (__syncthreads_or(last)) {
        alone();
        __syncthreads();
        if (threadIdx.x == 0) {
            store_relaxed(&barrier->arrived, 0);
            store_release(&barrier->passed, passed + 1);
        }
    } else if (threadIdx.x == 0) {
        while (load_acquire(&barrier->passed) == passed) {}
    }
    __syncthreads();
}

} // namespace isobit
