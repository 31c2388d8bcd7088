/* Entry points of softmax and log-softmax of BF16. What they do: softmax.cuh; how they are launched: params.h. */
#include "softmax_entries.cuh"

ISOBIT_SOFTMAX_ENTRIES(bf16, isobit::Bf16, 4, 3)
