package dev.isobit.cpu;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.contract.NonFiniteContract;
import org.junit.jupiter.api.Nested;

class CpuNonFiniteTest {
    private static Backend cpu(int threads) {
        return Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
    }

    @Nested
    class OneThread extends NonFiniteContract {
        @Override
        protected Backend open() {
            return cpu(1);
        }
    }

    /** A number that divides nothing. */
    @Nested
    class ThreeThreads extends NonFiniteContract {
        @Override
        protected Backend open() {
            return cpu(3);
        }
    }
}
