/*
 * SGD over parameters and gradients of F32, BF16 and F16 and momentum buffers of F32 and BF16, in any mix: the update of
 * sgd.cuh between widening and rounding. sgd_params.h: arguments, launch; mixed_chunks.cuh: how elements are reached.
 *
 * Memory moved: what sgd.cuh says, by the size of each array's elements; 40 bytes a chunk.
 */
#pragma once

#include "mixed_chunks.cuh"
#include "sgd.cuh"

namespace isobit {
namespace sgd {

/* Calls step(update, arrays, chunk) for the chunks of a warp, with the arrays of each. */
template <typename Params, typename Step>
__device__ __forceinline__ void for_mixed_chunks(const Params& p, Step step) {
    const sgd_mixed_chunk* all = reinterpret_cast<const sgd_mixed_chunk*>(p.chunks);
    for (int64_t c = chunks::first_chunk(); c < p.chunk_count; c += chunks::chunk_stride()) {
        const sgd_mixed_chunk chunk = all[c];
        const sgd_group group = p.groups[chunk.group];
        if ((group.flags & SGD_DISABLED) != 0) continue;
        void* grad = const_cast<void*>(chunk.grad);
        if (chunk.momentum_buffer != nullptr) {
            void* arrays[] = {chunk.param, grad, chunk.momentum_buffer};
            step(Update<true>(), group, arrays, chunk);
        } else {
            void* arrays[] = {chunk.param, grad};
            step(Update<false>(), group, arrays, chunk);
        }
    }
}

__device__ __forceinline__ void step_mixed(const sgd_params& p) {
    for_mixed_chunks(p, [](auto update, const sgd_group& group, auto& arrays, const sgd_mixed_chunk& chunk) {
        mixed::step_chunk<decltype(update)>(group, arrays, chunk.dtypes, chunk.count, chunks::lane());
    });
}

__device__ __forceinline__ void step_mixed_guarded(const sgd_guarded_params& p) {
    const guard_state state = *p.guard.state;
    for_mixed_chunks(p, [&](auto update, const sgd_group& group, auto& arrays, const sgd_mixed_chunk& chunk) {
        mixed::step_chunk_guarded<decltype(update)>(p.guard, state, group, arrays, chunk.dtypes, chunk.count);
    });
}

} // namespace sgd
} // namespace isobit
