package dev.isobit.reference;

import dev.isobit.Backend;
import dev.isobit.contract.NonFiniteContract;

/** Gradients that are not finite, in float64. */
class ReferenceNonFiniteTest extends NonFiniteContract {
    @Override
    protected Backend open() {
        return Backend.open("reference");
    }
}
