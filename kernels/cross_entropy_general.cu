/* Entry points of cross-entropy with options. What they do: cross_entropy_general.cuh; how they are launched:
 * cross_entropy_general_params.h. */
#include "cross_entropy_general_entries.cuh"

ISOBIT_GENERAL_ENTRY(cross_entropy_general_begin, isobit::cross_entropy_general::kBlock, 4, begin)
ISOBIT_GENERAL_ROWS(f32, isobit::F32, 2, 2)
ISOBIT_GENERAL_ENTRY(cross_entropy_general_reduce, isobit::cross_entropy_general::kBlock, 4, reduce)
