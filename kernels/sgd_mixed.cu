/* Entry points of SGD over several types. What it does: sgd_mixed.cuh; how it is launched: sgd_params.h. */
#include "sgd_mixed.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    sgd_step_mixed(const __grid_constant__ sgd_mixed_params p) {
    isobit::sgd::step_mixed(p);
}

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    sgd_step_mixed_guarded(const __grid_constant__ sgd_guarded_params p) {
    isobit::sgd::step_mixed_guarded(p);
}
