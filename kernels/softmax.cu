/* Entry points of softmax and log-softmax. What they do: softmax.cuh; how they are launched: params.h. */
#include "softmax.cuh"

using namespace isobit::softmax;

#define ISOBIT_ENTRY(name, threads, blocks, ...)                                                                   \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ softmax_params p) { \
        __VA_ARGS__(p);                                                                                            \
    }

ISOBIT_ENTRY(softmax_forward_f32_warp, kWarpBlock, 5, warp_rows)
ISOBIT_ENTRY(softmax_forward_f32_block, kBlock, 2, block_rows)
ISOBIT_ENTRY(softmax_forward_f32_column, kColumnBlock, 6, columns)
ISOBIT_ENTRY(softmax_grad_f32_warp, kWarpBlock, 3, warp_gradients)
ISOBIT_ENTRY(softmax_grad_f32_block, kBlock, 2, block_gradients)
ISOBIT_ENTRY(softmax_grad_f32_column, kColumnBlock, 6, column_gradients)
