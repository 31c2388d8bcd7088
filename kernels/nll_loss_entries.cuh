/* The entry point of negative log-likelihood that works on rows of one type: a module each, loaded when it is needed. */
#pragma once

#include "nll_loss.cuh"

#define ISOBIT_NLL_LOSS_ENTRY(name, ...)                                      \
    extern "C" __global__ void __launch_bounds__(isobit::nll_loss::kBlock, 4) \
        name(const __grid_constant__ nll_loss_params p) {                     \
        isobit::nll_loss::__VA_ARGS__(p);                                     \
    }
