/* Entry points of negative log-likelihood. What they do: nll_loss.cuh; how they are launched: params.h. */
#include "nll_loss.cuh"

using namespace isobit::nll_loss;

#define ISOBIT_ENTRY(name, ...)                                                                               \
    extern "C" __global__ void __launch_bounds__(kBlock, 4) name(const __grid_constant__ nll_loss_params p) { \
        __VA_ARGS__(p);                                                                                       \
    }

ISOBIT_ENTRY(nll_loss_weigh_f32, weigh)
ISOBIT_ENTRY(nll_loss_rows_f32, rows)
ISOBIT_ENTRY(nll_loss_reduce_f32, reduce)
