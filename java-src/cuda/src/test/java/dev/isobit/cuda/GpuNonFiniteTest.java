package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.contract.NonFiniteContract;

/** Gradients that are not finite, on a device. */
@GpuTest
class GpuNonFiniteTest extends NonFiniteContract {
    @Override
    protected Backend open() {
        return Backend.open("cuda");
    }
}
