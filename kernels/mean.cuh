/*
 * What MEAN divides a loss and its gradient by.
 */
#pragma once

namespace isobit {

/* 0 makes both NaN, even where the loss is not 0. */
__device__ __forceinline__ double nan_for_zero(double sum) {
    return sum == 0.0 ? __longlong_as_double(0x7ff8000000000000ll) : sum;
}

} // namespace isobit
