/* Entry points of the focal loss of BF16. What they do: bce_with_logits.cuh; how they are launched:
 * bce_with_logits_params.h. */
#include "bce_with_logits_entries.cuh"

ISOBIT_BCE_FOCAL_ENTRIES(bf16, isobit::Bf16, 4)
