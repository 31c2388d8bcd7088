package dev.isobit.cpu;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.contract.GeneralContract;
import dev.isobit.contract.GeneralEdgeContract;
import dev.isobit.contract.ShardContract;
import org.junit.jupiter.api.Nested;

class CpuGeneralCrossEntropyTest {
    private static Backend cpu(int threads) {
        return Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
    }

    @Nested
    class OneThread extends GeneralContract {
        @Override
        protected Backend open() {
            return cpu(1);
        }
    }

    /** A number that divides nothing. */
    @Nested
    class ThreeThreads extends GeneralContract {
        @Override
        protected Backend open() {
            return cpu(3);
        }

        @Override
        protected int variations() {
            return 1;
        }
    }

    @Nested
    class Edges extends GeneralEdgeContract {
        @Override
        protected Backend open() {
            return cpu(1);
        }
    }

    @Nested
    class Shards extends ShardContract {
        @Override
        protected Backend open() {
            return cpu(3);
        }
    }
}
