/* Entry points of negative log-likelihood of F16. What they do: nll_loss.cuh; how they are launched: params.h. */
#include "nll_loss_entries.cuh"

ISOBIT_NLL_LOSS_ENTRY(nll_loss_rows_f16, rows<isobit::F16>)
