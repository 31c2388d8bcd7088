/* Entry points of cross-entropy of F16. What they do: cross_entropy.cuh; how they are launched: params.h. */
#include "cross_entropy_entries.cuh"

ISOBIT_CROSS_ENTROPY_ROWS(f16, isobit::F16, 6, 3)
