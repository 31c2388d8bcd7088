package dev.isobit.cpu;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.contract.BceContract;
import org.junit.jupiter.api.Nested;

class CpuBceWithLogitsTest {
    private static Backend cpu(int threads) {
        return Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
    }

    @Nested
    class OneThread extends BceContract {
        @Override
        protected Backend open() {
            return cpu(1);
        }
    }

    /** A number that divides nothing. */
    @Nested
    class ThreeThreads extends BceContract {
        @Override
        protected Backend open() {
            return cpu(3);
        }

        @Override
        protected int variations() {
            return 1;
        }
    }
}
