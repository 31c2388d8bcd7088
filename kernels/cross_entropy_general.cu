/* Entry points of cross-entropy with options. What they do: cross_entropy_general.cuh; how they are launched: params.h. */
#include "cross_entropy_general.cuh"

using namespace isobit::cross_entropy_general;

#define ISOBIT_ENTRY(name, blocks, ...)                                \
    extern "C" __global__ void __launch_bounds__(kBlock, blocks)       \
        name(const __grid_constant__ cross_entropy_general_params p) { \
        __VA_ARGS__(p);                                                \
    }

ISOBIT_ENTRY(cross_entropy_general_weigh_f32, 4, weigh)
ISOBIT_ENTRY(cross_entropy_general_begin_f32, 4, begin)
ISOBIT_ENTRY(cross_entropy_general_loss_f32_column, 2, column_rows<false>)
ISOBIT_ENTRY(cross_entropy_general_loss_f32_block, 3, block_rows<false>)
ISOBIT_ENTRY(cross_entropy_general_loss_grad_f32_column, 2, column_rows<true>)
ISOBIT_ENTRY(cross_entropy_general_loss_grad_f32_block, 2, block_rows<true>)
ISOBIT_ENTRY(cross_entropy_general_reduce_f32, 4, reduce)
