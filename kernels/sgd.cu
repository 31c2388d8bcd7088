/* Entry points of SGD. What it does: sgd.cuh; how it is launched: params.h. */
#include "sgd.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    sgd_step_f32(const __grid_constant__ sgd_params p) {
    isobit::sgd::step(p);
}

extern "C" __global__ void __launch_bounds__(isobit::guard::kBlock)
    sgd_begin(const __grid_constant__ sgd_guarded_params p) {
    __shared__ double lanes[isobit::kLanes];
    __shared__ bool skips;
    isobit::sgd::begin(p, lanes, skips);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    sgd_step_f32_guarded(const __grid_constant__ sgd_guarded_params p) {
    isobit::sgd::step_guarded(p);
}
