/* Entry points of Adam and AdamW. What it does: adam.cuh; how it is launched: params.h. */
#include "adam.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    adam_step_f32(const __grid_constant__ adam_params p) {
    isobit::adam::step<false>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 3)
    adam_step_f32_amsgrad(const __grid_constant__ adam_params p) {
    isobit::adam::step<true>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::guard::kBlock)
    adam_begin(const __grid_constant__ adam_guarded_params p) {
    __shared__ double lanes[isobit::kLanes];
    __shared__ bool skips;
    isobit::adam::begin(p, lanes, skips);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    adam_step_f32_guarded(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::step_guarded<false>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 3)
    adam_step_f32_amsgrad_guarded(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::step_guarded<true>(p);
}
