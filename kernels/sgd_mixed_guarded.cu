/*
 * Entry points of SGD over several types: guarded steps in one cooperative launch. What they do: sgd_mixed.cuh, guard.cuh; how they are
 * launched: guard_params.h.
 */
#include "sgd_mixed.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    sgd_guarded_mixed(const __grid_constant__ sgd_guarded_params p) {
    isobit::sgd::whole_step_mixed(p);
}
