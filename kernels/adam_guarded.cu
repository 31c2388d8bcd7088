/*
 * Entry points of Adam and AdamW: guarded steps in one cooperative launch. What they do: adam.cuh, guard.cuh; how they are
 * launched: guard_params.h.
 */
#include "adam.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    adam_guarded_f32(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::whole_step<false>(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 3)
    adam_guarded_f32_amsgrad(const __grid_constant__ adam_guarded_params p) {
    isobit::adam::whole_step<true>(p);
}
