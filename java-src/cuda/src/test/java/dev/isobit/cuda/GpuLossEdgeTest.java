package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.contract.LossEdgeContract;

/** Edges on a device. */
@GpuTest
class GpuLossEdgeTest extends LossEdgeContract {
    @Override
    protected Backend open() {
        return Backend.open("cuda");
    }
}
