/*
 * Entry points of Adam and AdamW over several types: guarded steps in one cooperative launch. What they do: adam_mixed.cuh, guard.cuh; how they are
 * launched: guard_params.h.
 */
#include "adam_mixed.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 3)
    adam_guarded_mixed(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::whole_step_mixed<false>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 2)
    adam_guarded_mixed_amsgrad(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::whole_step_mixed<true>(p);
}
