/* Entry points of cross-entropy of float32, and those that know no type. What they do: cross_entropy.cuh; how they are
 * launched: params.h. */
#include "cross_entropy_entries.cuh"

ISOBIT_CROSS_ENTROPY_ENTRY(cross_entropy_count, isobit::cross_entropy::kBlock, 4, count_targets)
ISOBIT_CROSS_ENTROPY_ROWS(f32, isobit::F32, 8, 3)
ISOBIT_CROSS_ENTROPY_ENTRY(cross_entropy_reduce_loss_f32, isobit::cross_entropy::kBlock, 4, reduce_loss)
