package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.contract.AccumulateContract;

/** Gradients summed over micro-batches on a device. */
@GpuTest
class GpuAccumulateTest extends AccumulateContract {
    @Override
    protected Backend open() {
        return Backend.open("cuda");
    }
}
