/* Entry points of the focal loss of F16. What they do: bce_with_logits.cuh; how they are launched:
 * bce_with_logits_params.h. */
#include "bce_with_logits_entries.cuh"

ISOBIT_BCE_FOCAL_ENTRIES(f16, isobit::F16, 4)
