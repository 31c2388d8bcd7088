/* Entry points of cross-entropy. What they do: cross_entropy.cuh; how they are launched: params.h. */
#include "cross_entropy.cuh"

using namespace isobit::cross_entropy;

#define ISOBIT_ENTRY(name, threads, blocks, ...)                  \
    extern "C" __global__ void __launch_bounds__(threads, blocks) \
        name(const __grid_constant__ cross_entropy_params p) {    \
        __VA_ARGS__(p);                                           \
    }

ISOBIT_ENTRY(cross_entropy_count, kBlock, 4, count_targets)
ISOBIT_ENTRY(cross_entropy_loss_f32_thread, kThreadBlock, 8, thread_rows<false>)
ISOBIT_ENTRY(cross_entropy_loss_f32_warp, kWarpBlock, 8, warp_rows<false>)
ISOBIT_ENTRY(cross_entropy_loss_f32_wide, kWarpBlock, 5, wide_rows<false>)
ISOBIT_ENTRY(cross_entropy_loss_f32_block, kBlock, 3, block_rows<false>)
ISOBIT_ENTRY(cross_entropy_loss_grad_f32_thread, kThreadBlock, 4, thread_rows<true>)
ISOBIT_ENTRY(cross_entropy_loss_grad_f32_warp, kWarpBlock, 5, warp_rows<true>)
ISOBIT_ENTRY(cross_entropy_loss_grad_f32_wide, kWarpBlock, 4, wide_rows<true>)
ISOBIT_ENTRY(cross_entropy_loss_grad_f32_block, kBlock, 3, block_rows<true>)
ISOBIT_ENTRY(cross_entropy_reduce_loss_f32, kBlock, 4, reduce_loss)
