/*
 * Adam and AdamW over parameters and gradients of F32, BF16 and F16 and moments of F32 and BF16, in any mix, with masters of
 * F32, remainders of 16 bits or none: the update of adam.cuh between widening and rounding. adam_params.h: arguments, launch;
 * mixed_chunks.cuh: how elements are reached.
 *
 * Memory moved: what adam.cuh says, by the size of each array's elements; a master of F32 is read and written, its parameter
 * written; remainders and theirs are read and written; 72 bytes a chunk.
 */
#pragma once

#include "adam.cuh"
#include "mixed_chunks.cuh"

namespace isobit {
namespace adam {

constexpr int kMaster = 5; /* its place among the types of a chunk */

/* Calls step(update, arrays, keeping) for a chunk with its arrays. */
template <bool kAmsgrad, typename Step>
__device__ __forceinline__ void with_mixed_arrays(const adam_mixed_chunk& chunk, int64_t step_count, Step step) {
    const mixed::Keeping keeping = mixed::keeping_of(chunk, kMaster, step_count);
    void* grad = const_cast<void*>(chunk.grad);
    if constexpr (kAmsgrad) {
        void* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq, chunk.max_exp_avg_sq};
        step(Update<true>(), arrays, keeping);
    } else {
        void* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq};
        step(Update<false>(), arrays, keeping);
    }
}

template <bool kAmsgrad>
__device__ __forceinline__ void step_mixed(const adam_mixed_params& p) {
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const adam_mixed_chunk chunk = p.chunks[c];
        const adam_group group = p.groups[chunk.group].scalars;
        if ((group.flags & ADAM_DISABLED) != 0) continue;
        with_mixed_arrays<kAmsgrad>(
            chunk, p.groups[chunk.group].step, [&](auto update, auto& arrays, const mixed::Keeping& keeping) {
                mixed::step_chunk<decltype(update)>(group, arrays, keeping, chunk.dtypes, chunk.count, chunks::lane());
            });
    }
}

template <bool kAmsgrad>
__device__ __forceinline__ void step_mixed_guarded(const adam_guarded_params& p) {
    const guard_state state = *p.guard.state;
    const adam_mixed_chunk* all = reinterpret_cast<const adam_mixed_chunk*>(p.chunks);
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const adam_mixed_chunk chunk = all[c];
        const adam_group group = p.groups[chunk.group];
        if ((group.flags & ADAM_DISABLED) != 0) continue;
        with_mixed_arrays<kAmsgrad>(chunk, p.guard.steps[chunk.group],
                                    [&](auto update, auto& arrays, const mixed::Keeping& keeping) {
                                        mixed::step_chunk_guarded<decltype(update)>(p.guard, state, group, arrays,
                                                                                    keeping, chunk.dtypes, chunk.count);
                                    });
    }
}

template <bool kAmsgrad>
__device__ __forceinline__ void whole_step_mixed(const adam_guarded_params& p) {
    guard::whole_step<true>(
        p.guard, [&](auto& lanes, bool& skips) { begin(p, lanes, skips); }, [&] { step_mixed_guarded<kAmsgrad>(p); });
}

} // namespace adam
} // namespace isobit
