/* Entry point of gradients summed over micro-batches. What it does: accumulate.cuh; how it is launched: guard_params.h. */
#include "accumulate.cuh"

extern "C" __global__ void __launch_bounds__(isobit::chunks::kBlock, 4)
    accumulate_grad(const __grid_constant__ guard_params p) {
    isobit::accumulate::add<true>(p);
}
