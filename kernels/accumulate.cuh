/*
 * Gradients of F32, BF16 or F16 added to accumulators of float32, over all tensors of a model in one launch:
 *
 *   accumulator' = accumulator + grad        grad' = 0 if that is asked for
 *
 * one rounding. guard_params.h: arguments, the table of chunks, launch; chunks.cuh, mixed_chunks.cuh: how elements are reached.
 *
 * Memory moved: accumulator read and written, grad read: 12 bytes an element, with a gradient of 16 bits 10, and 4 or 2 more where
 * it is zeroed; 32 bytes a chunk. Aliasing: no two arrays overlap.
 */
#pragma once

#include "exact_math.cuh"
#include "guard_params.h"
#include "mixed_chunks.cuh"

namespace isobit {
namespace accumulate {

/* An update of chunks.cuh whose parameter is the accumulator. */
struct Sum {
    struct Group {
        bool zeroes;
    };
    static constexpr int kArrays = 2;

    static __device__ __forceinline__ bool writes_grad(const Group& group) { return group.zeroes; }

    static __device__ __forceinline__ void update(const Group&, float (&x)[kArrays]) {
        x[0] = canonical(__fadd_rn(x[0], x[chunks::kGrad]));
        x[chunks::kGrad] = 0.0f;
    }
};

/* A warp's chunk whose gradient is of a type of 16 bits. */
template <uint32_t kDtype>
__device__ __forceinline__ void add_narrow(const Sum::Group& group, const accumulate_chunk& chunk) {
    void* const arrays[] = {chunk.accumulator, chunk.grad};
    const mixed::Keeping alone = {nullptr, false, false, 0, 0, 0};
    mixed::step_chunk<Sum>(group, arrays, alone, kDtype << 4, chunk.count, chunks::lane());
}

/* All that there is to add; not mixed: of float32. */
template <bool kMixed>
__device__ __forceinline__ void add(const guard_params& p) {
    const Sum::Group group = {(p.flags & GUARD_ZERO_ADDED) != 0};
    for (int64_t c = chunks::first_chunk(); c < p.sum_count; c += chunks::chunk_stride()) {
        const accumulate_chunk chunk = p.sums[c];
        if (p.controls[chunk.group].disabled != 0) continue;
        if (!kMixed || chunk.dtype == DTYPE_F32) {
            float* const arrays[] = {chunk.accumulator, static_cast<float*>(chunk.grad)};
            chunks::step_chunk<Sum>(group, arrays, chunk.count, chunks::lane());
        } else if (chunk.dtype == DTYPE_BF16) {
            add_narrow<DTYPE_BF16>(group, chunk);
        } else {
            add_narrow<DTYPE_F16>(group, chunk);
        }
    }
}

} // namespace accumulate
} // namespace isobit
