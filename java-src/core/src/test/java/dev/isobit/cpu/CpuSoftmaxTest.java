package dev.isobit.cpu;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.contract.SoftmaxContract;
import org.junit.jupiter.api.Nested;

class CpuSoftmaxTest {
    @Nested
    class OneThread extends SoftmaxContract {
        @Override
        protected Backend open() {
            return Backend.open("cpu", BackendOptions.defaults().withThreads(1));
        }
    }

    /** A number that divides nothing. */
    @Nested
    class ThreeThreads extends SoftmaxContract {
        @Override
        protected Backend open() {
            return Backend.open("cpu", BackendOptions.defaults().withThreads(3));
        }
    }
}
