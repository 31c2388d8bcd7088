/* Entry points of binary cross-entropy of float32. What they do: bce_with_logits.cuh; how they are launched: params.h. */
#include "bce_with_logits_entries.cuh"

ISOBIT_BCE_ENTRIES(f32, isobit::F32, 3)
