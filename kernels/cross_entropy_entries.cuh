/* The entry points of cross-entropy that work on rows of one type of logits: a module each, loaded when it is needed. */
#pragma once

#include "cross_entropy.cuh"

#define ISOBIT_CROSS_ENTROPY_ENTRY(name, threads, blocks, ...)    \
    extern "C" __global__ void __launch_bounds__(threads, blocks) \
        name(const __grid_constant__ cross_entropy_params p) {    \
        isobit::cross_entropy::__VA_ARGS__(p);                    \
    }

#define ISOBIT_CROSS_ENTROPY_KIND(name, D, threads, blocks, rows, grad) \
    ISOBIT_CROSS_ENTROPY_ENTRY(name, isobit::cross_entropy::threads, blocks, rows<D, grad>)

/* Blocks on a multiprocessor at once: of a warp a row without gradient, of a block a row. */
#define ISOBIT_CROSS_ENTROPY_ROWS(dtype, D, warps, blocks)                                                     \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_##dtype##_thread, D, kThreadBlock, 8, thread_rows, false)     \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_##dtype##_warp, D, kWarpBlock, warps, warp_rows, false)       \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_##dtype##_wide, D, kWarpBlock, 5, wide_rows, false)           \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_##dtype##_block, D, kRowBlock<D>, blocks, block_rows, false)  \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_grad_##dtype##_thread, D, kThreadBlock, 4, thread_rows, true) \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_grad_##dtype##_warp, D, kWarpBlock, 5, warp_rows, true)       \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_grad_##dtype##_wide, D, kWarpBlock, 4, wide_rows, true)       \
    ISOBIT_CROSS_ENTROPY_KIND(cross_entropy_loss_grad_##dtype##_block, D, kRowBlock<D>, blocks, block_rows, true)
