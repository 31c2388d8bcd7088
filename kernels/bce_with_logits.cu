/* Entry points of binary cross-entropy. What they do: bce_with_logits.cuh; how they are launched: params.h. */
#include "bce_with_logits.cuh"

using namespace isobit::bce_with_logits;

#define ISOBIT_ENTRY(name, blocks, ...)                          \
    extern "C" __global__ void __launch_bounds__(kBlock, blocks) \
        name(const __grid_constant__ bce_with_logits_params p) { \
        __VA_ARGS__(p);                                          \
    }

ISOBIT_ENTRY(bce_with_logits_weigh_f32, 4, weigh)
ISOBIT_ENTRY(bce_with_logits_begin_f32, 4, begin)
ISOBIT_ENTRY(bce_with_logits_loss_f32, 3, elements<true, false>)
ISOBIT_ENTRY(bce_with_logits_grad_f32, 3, elements<false, true>)
ISOBIT_ENTRY(bce_with_logits_loss_grad_f32, 3, elements<true, true>)
