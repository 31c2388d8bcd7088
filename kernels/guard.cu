/* Entry points of guarded steps, those of all optimizers. What they do: guard.cuh; how they are launched: params.h. */
#include "guard.cuh"

extern "C" __global__ void __launch_bounds__(isobit::guard::kBlock)
    guard_set(const __grid_constant__ guard_set_params p) {
    isobit::guard::set(p);
}

extern "C" __global__ void __launch_bounds__(isobit::guard::kBlock, 4)
    guard_square_f32(const __grid_constant__ guard_params p) {
    __shared__ float squares[isobit::guard::kSegment];
    isobit::guard::square<false>(p, squares);
}

extern "C" __global__ void __launch_bounds__(isobit::guard::kBlock, 4)
    guard_square_mixed(const __grid_constant__ guard_params p) {
    __shared__ float squares[isobit::guard::kSegment];
    isobit::guard::square<true>(p, squares);
}
