/*
 * Entry points of SGD: guarded steps in one cooperative launch. What they do: sgd.cuh, guard.cuh; how they are
 * launched: guard_params.h.
 */
#include "sgd.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    sgd_guarded_f32(const __grid_constant__ sgd_guarded_params p) {
    isobit::sgd::whole_step(p);
}
