package dev.isobit.reference;

import dev.isobit.Backend;
import dev.isobit.contract.AdamInputContract;
import dev.isobit.contract.CrossEntropyInputContract;
import dev.isobit.contract.GeneralEdgeContract;
import dev.isobit.contract.LossEdgeContract;
import org.junit.jupiter.api.Nested;

/** What every backend refuses. */
class ReferenceInputTest {
    @Nested
    class OfCrossEntropy extends CrossEntropyInputContract {
        @Override
        protected Backend open() {
            return Backend.open("reference");
        }
    }

    /** Its float32 results are the exact ones, rounded. */
    @Nested
    class EdgesOfCrossEntropy extends GeneralEdgeContract {
        @Override
        protected Backend open() {
            return Backend.open("reference");
        }
    }

    @Nested
    class EdgesOfLosses extends LossEdgeContract {
        @Override
        protected Backend open() {
            return Backend.open("reference");
        }
    }

    @Nested
    class OfAdam extends AdamInputContract {
        @Override
        protected Backend open() {
            return Backend.open("reference");
        }
    }
}
