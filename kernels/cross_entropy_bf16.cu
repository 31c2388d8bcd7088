/* Entry points of cross-entropy of BF16. What they do: cross_entropy.cuh; how they are launched: params.h. */
#include "cross_entropy_entries.cuh"

ISOBIT_CROSS_ENTROPY_ROWS(bf16, isobit::Bf16, 6, 4)
