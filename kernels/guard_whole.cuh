/*
 * All of a guarded step in one cooperative launch: what is added to accumulators, where that is asked for, the squares of the
 * gradients, what they decide, the update; between them all blocks meet. guard.cuh, accumulate.cuh: the parts.
 */
#pragma once

#include "accumulate.cuh"
#include "grid_barrier.cuh"
#include "guard.cuh"

namespace isobit {
namespace guard {

/* Shared memory of a block that does all of a step, one thing after the other. */
union Scratch {
    float squares[kSegment];
    struct {
        double lanes[kLanes];
        bool skips;
    } decision;
};

/* A step in one launch, all of whose blocks run at once; begin(lanes, skips) is for one block, with shared memory. */
template <bool kMixed, typename Begin, typename Step>
__device__ __forceinline__ void whole_step(const guard_params& p, Begin begin, Step step) {
    __shared__ Scratch scratch;
    const bool accumulates = (p.flags & GUARD_ACCUMULATE) != 0;
    if (accumulates) accumulate::add<kMixed>(p);
    if ((p.flags & GUARD_CHECK) != 0) {
        if (accumulates) meet(p.barrier, [] {});
        square<kMixed>(p, scratch.squares);
    }
    meet(p.barrier, [&] { begin(scratch.decision.lanes, scratch.decision.skips); });
    step();
}

} // namespace guard
} // namespace isobit
