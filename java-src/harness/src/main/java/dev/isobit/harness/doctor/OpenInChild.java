package dev.isobit.harness.doctor;

import dev.isobit.Backend;
import dev.isobit.IsobitException;
import dev.isobit.harness.ChildJvm;

/** Main class of a child JVM: opens a backend, or says why it cannot. */
final class OpenInChild {
    private OpenInChild() {}

    /** Argument: the backend. */
    public static void main(String[] args) {
        ChildJvm.endWithParent();
        try {
            Backend.open(args[0]).close();
        } catch (IsobitException e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }
}
