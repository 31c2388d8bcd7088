package dev.isobit.cpu;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.contract.LossEdgeContract;

class CpuLossEdgeTest extends LossEdgeContract {
    @Override
    protected Backend open() {
        return Backend.open("cpu", BackendOptions.defaults().withThreads(2));
    }
}
