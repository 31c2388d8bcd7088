/* The entry points of binary cross-entropy of one type of logits: a module of their own, loaded when it is needed. */
#pragma once

#include "bce_with_logits.cuh"

#define ISOBIT_BCE_ENTRY(name, threads, blocks, ...)              \
    extern "C" __global__ void __launch_bounds__(threads, blocks) \
        name(const __grid_constant__ bce_with_logits_params p) {  \
        isobit::bce_with_logits::__VA_ARGS__(p);                  \
    }

/* blocks: of elements, on a multiprocessor at once. */
#define ISOBIT_BCE_ENTRIES(dtype, T, blocks)                                                                \
    ISOBIT_BCE_ENTRY(bce_with_logits_weigh_##dtype, isobit::bce_with_logits::kBlock, 4, weigh<T>)           \
    ISOBIT_BCE_ENTRY(bce_with_logits_begin_##dtype, isobit::bce_with_logits::kBlock, 4, begin)              \
    ISOBIT_BCE_ENTRY(bce_with_logits_loss_##dtype, isobit::bce_with_logits::kElementsBlock<T>, blocks,      \
                     elements<T, true, false>)                                                              \
    ISOBIT_BCE_ENTRY(bce_with_logits_grad_##dtype, isobit::bce_with_logits::kElementsBlock<T>, blocks,      \
                     elements<T, false, true>)                                                              \
    ISOBIT_BCE_ENTRY(bce_with_logits_loss_grad_##dtype, isobit::bce_with_logits::kElementsBlock<T>, blocks, \
                     elements<T, true, true>)

#define ISOBIT_BCE_FOCAL_ENTRIES(dtype, T, blocks)                                                                \
    ISOBIT_BCE_ENTRY(bce_with_logits_focal_loss_##dtype, isobit::bce_with_logits::kElementsBlock<T>, blocks,      \
                     elements<T, true, false, true>)                                                              \
    ISOBIT_BCE_ENTRY(bce_with_logits_focal_grad_##dtype, isobit::bce_with_logits::kElementsBlock<T>, blocks,      \
                     elements<T, false, true, true>)                                                              \
    ISOBIT_BCE_ENTRY(bce_with_logits_focal_loss_grad_##dtype, isobit::bce_with_logits::kElementsBlock<T>, blocks, \
                     elements<T, true, true, true>)
