package dev.isobit.cpu;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.contract.NllLossContract;
import org.junit.jupiter.api.Nested;

class CpuNllLossTest {
    @Nested
    class OneThread extends NllLossContract {
        @Override
        protected Backend open() {
            return Backend.open("cpu", BackendOptions.defaults().withThreads(1));
        }
    }

    /** A number that divides nothing. */
    @Nested
    class ThreeThreads extends NllLossContract {
        @Override
        protected Backend open() {
            return Backend.open("cpu", BackendOptions.defaults().withThreads(3));
        }
    }
}
