/*
 * Adam and AdamW over parameters and gradients of F32, BF16 and F16 and moments of F32 and BF16, in any mix: the update of
 * adam.cuh between widening and rounding. adam_params.h: arguments, launch; mixed_chunks.cuh: how elements are reached.
 *
 * Memory moved: what adam.cuh says, by the size of each array's elements; 56 bytes a chunk.
 */
#pragma once

#include "adam.cuh"
#include "mixed_chunks.cuh"

namespace isobit {
namespace adam {

/* Calls step(update, arrays, chunk) for the chunks of a warp, with the arrays of each. */
template <bool kAmsgrad, typename Params, typename Step>
__device__ __forceinline__ void for_mixed_chunks(const Params& p, Step step) {
    const adam_mixed_chunk* all = reinterpret_cast<const adam_mixed_chunk*>(p.chunks);
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const adam_mixed_chunk chunk = all[c];
        const adam_group group = p.groups[chunk.group];
        if ((group.flags & ADAM_DISABLED) != 0) continue;
        void* grad = const_cast<void*>(chunk.grad);
        if constexpr (kAmsgrad) {
            void* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq, chunk.max_exp_avg_sq};
            step(Update<true>(), group, arrays, chunk);
        } else {
            void* arrays[] = {chunk.param, grad, chunk.exp_avg, chunk.exp_avg_sq};
            step(Update<false>(), group, arrays, chunk);
        }
    }
}

template <bool kAmsgrad>
__device__ __forceinline__ void step_mixed(const adam_params& p) {
    for_mixed_chunks<kAmsgrad>(
        p, [](auto update, const adam_group& group, auto& arrays, const adam_mixed_chunk& chunk) {
            mixed::step_chunk<decltype(update)>(group, arrays, chunk.dtypes, chunk.count, chunks::lane());
        });
}

template <bool kAmsgrad>
__device__ __forceinline__ void step_mixed_guarded(const adam_guarded_params& p) {
    const guard_state state = *p.guard.state;
    for_mixed_chunks<kAmsgrad>(
        p, [&](auto update, const adam_group& group, auto& arrays, const adam_mixed_chunk& chunk) {
            mixed::step_chunk_guarded<decltype(update)>(p.guard, state, group, arrays, chunk.dtypes, chunk.count);
        });
}

} // namespace adam
} // namespace isobit
