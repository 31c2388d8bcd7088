/* Entry points of Adam and AdamW over several types. What it does: adam_mixed.cuh; how it is launched: adam_params.h. */
#include "adam_mixed.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 3)
    adam_step_mixed(const __grid_constant__ adam_mixed_params p) {
    isobit::adam::step_mixed<false>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 2)
    adam_step_mixed_amsgrad(const __grid_constant__ adam_mixed_params p) {
    isobit::adam::step_mixed<true>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 3)
    adam_step_mixed_guarded(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::step_mixed_guarded<false>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 2)
    adam_step_mixed_amsgrad_guarded(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::step_mixed_guarded<true>(p);
}
