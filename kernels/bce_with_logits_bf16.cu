/* Entry points of binary cross-entropy of BF16. What they do: bce_with_logits.cuh; how they are launched: params.h. */
#include "bce_with_logits_entries.cuh"

ISOBIT_BCE_ENTRIES(bf16, isobit::Bf16, 4)
