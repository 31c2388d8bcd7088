/* Entry points of cross-entropy of BF16 with options. What they do: cross_entropy_general.cuh; how they are launched:
 * cross_entropy_general_params.h. */
#include "cross_entropy_general_entries.cuh"

ISOBIT_GENERAL_ROWS(bf16, isobit::Bf16, 4, 4)
