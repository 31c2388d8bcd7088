/* Entry points of softmax and log-softmax of F16. What they do: softmax.cuh; how they are launched: params.h. */
#include "softmax_entries.cuh"

ISOBIT_SOFTMAX_ENTRIES(f16, isobit::F16, 4, 3)
