/* Entry points of negative log-likelihood of float32, and those that know no type. What they do: nll_loss.cuh; how they
 * are launched: params.h. */
#include "nll_loss_entries.cuh"

ISOBIT_NLL_LOSS_ENTRY(nll_loss_weigh_f32, weigh)
ISOBIT_NLL_LOSS_ENTRY(nll_loss_rows_f32, rows<isobit::F32>)
ISOBIT_NLL_LOSS_ENTRY(nll_loss_reduce_f32, reduce)
