/* The entry points of cross-entropy with options that work on rows of one type of logits: a module each, loaded when it is
 * needed. */
#pragma once

#include "cross_entropy_general.cuh"

#define ISOBIT_GENERAL_ENTRY(name, threads, blocks, ...)               \
    extern "C" __global__ void __launch_bounds__(threads, blocks)      \
        name(const __grid_constant__ cross_entropy_general_params p) { \
        isobit::cross_entropy_general::__VA_ARGS__(p);                 \
    }

#define ISOBIT_GENERAL_KIND(name, D, threads, blocks, rows, grad) \
    ISOBIT_GENERAL_ENTRY(name, isobit::cross_entropy_general::threads, blocks, rows<D, grad>)

/* Blocks of a row each on a multiprocessor at once, without gradient and with it. */
#define ISOBIT_GENERAL_ROWS(dtype, D, loss_blocks, grad_blocks)                                                      \
    ISOBIT_GENERAL_KIND(cross_entropy_general_loss_##dtype##_column, D, kBlock, 2, column_rows, false)               \
    ISOBIT_GENERAL_KIND(cross_entropy_general_loss_##dtype##_block, D, kRowBlock<D>, loss_blocks, block_rows, false) \
    ISOBIT_GENERAL_KIND(cross_entropy_general_loss_grad_##dtype##_column, D, kBlock, 2, column_rows, true)           \
    ISOBIT_GENERAL_KIND(cross_entropy_general_loss_grad_##dtype##_block, D, kRowBlock<D>, grad_blocks, block_rows, true)
