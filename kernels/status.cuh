/*
 * What a launch leaves of targets that are no class: how many there are, the lowest of their rows, and the target there.
 *
 * Row and target are two words, and no atomic operation sets both. So whoever may have lowered the row then stores the
 * target of the lowest row so far, and looks whether the row has been lowered meanwhile; if so, it stores that row's
 * target, and looks again. A wrong target is thus followed by a right one: its writer sees the lower row, or has looked
 * before that was stored, and then who lowered it is yet to store its target.
 */
#pragma once

#include "cross_entropy_params.h"

namespace isobit {

__device__ __forceinline__ void count_bad_row(cross_entropy_status* status, int64_t row) {
    if (status == nullptr) return;
    atomicAdd(reinterpret_cast<unsigned long long*>(&status->bad_targets), 1ull);
    atomicMin(reinterpret_cast<unsigned long long*>(&status->first_bad_row), static_cast<unsigned long long>(row));
}

/* After count_bad_row, by the same thread; harmless without. The row may be one of an earlier launch that nobody has read
 * yet: its target stays what it is, if that row is not bad in this launch, too. */
template <typename TargetOf, typename IsBad>
__device__ __forceinline__ void name_bad_target(cross_entropy_status* status, int64_t rows, TargetOf target_of,
                                                IsBad is_bad) {
    using Word = unsigned long long;
    constexpr Word kNone = ~Word(0);
    if (status == nullptr) return;
    /* Volatile: others change it. */
    const volatile Word* first = reinterpret_cast<const Word*>(&status->first_bad_row);
    Word lowest = *first;
    Word seen = kNone;
#pragma unroll 1
    while (lowest != seen && lowest < static_cast<Word>(rows)) {
        const int64_t target = target_of(static_cast<int64_t>(lowest));
        if (!is_bad(target)) return;
        seen = lowest;
        __threadfence();
        atomicExch(reinterpret_cast<Word*>(&status->first_bad_target), static_cast<Word>(target));
        __threadfence();
        lowest = *first;
    }
}

} // namespace isobit
