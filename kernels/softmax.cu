/* Entry points of softmax and log-softmax of float32. What they do: softmax.cuh; how they are launched: params.h. */
#include "softmax_entries.cuh"

ISOBIT_SOFTMAX_ENTRIES(f32, isobit::F32, 2, 2)
