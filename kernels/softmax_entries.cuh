/* The entry points of softmax and log-softmax of one type: a module of their own, loaded when it is needed. */
#pragma once

#include "softmax.cuh"

#define ISOBIT_SOFTMAX_ENTRY(name, threads, blocks, ...)                                                           \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ softmax_params p) { \
        isobit::softmax::__VA_ARGS__(p);                                                                           \
    }

/* Blocks on a multiprocessor at once: of a block a row, forward and gradient. */
#define ISOBIT_SOFTMAX_ENTRIES(dtype, D, forward, grad)                                                          \
    ISOBIT_SOFTMAX_ENTRY(softmax_forward_##dtype##_warp, isobit::softmax::kWarpBlock, 5, warp_rows<D>)           \
    ISOBIT_SOFTMAX_ENTRY(softmax_forward_##dtype##_block, isobit::softmax::kRowBlock<D>, forward, block_rows<D>) \
    ISOBIT_SOFTMAX_ENTRY(softmax_forward_##dtype##_column, isobit::softmax::kColumnBlock, 6, columns<D>)         \
    ISOBIT_SOFTMAX_ENTRY(softmax_grad_##dtype##_warp, isobit::softmax::kWarpBlock, 3, warp_gradients<D>)         \
    ISOBIT_SOFTMAX_ENTRY(softmax_grad_##dtype##_block, isobit::softmax::kRowBlock<D>, grad, block_gradients<D>)  \
    ISOBIT_SOFTMAX_ENTRY(softmax_grad_##dtype##_column, isobit::softmax::kColumnBlock, 6, column_gradients<D>)
