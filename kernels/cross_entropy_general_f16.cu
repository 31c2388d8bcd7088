/* Entry points of cross-entropy of F16 with options. What they do: cross_entropy_general.cuh; how they are launched:
 * cross_entropy_general_params.h. */
#include "cross_entropy_general_entries.cuh"

ISOBIT_GENERAL_ROWS(f16, isobit::F16, 4, 4)
