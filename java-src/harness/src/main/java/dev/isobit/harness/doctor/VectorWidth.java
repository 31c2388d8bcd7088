package dev.isobit.harness.doctor;

import jdk.incubator.vector.FloatVector;

/** The one class that needs the incubator module: loaded only where that is there. */
final class VectorWidth {
    private VectorWidth() {}

    /** Float lanes of the widest vector of this JVM. */
    static int lanes() {
        return FloatVector.SPECIES_PREFERRED.length();
    }
}
