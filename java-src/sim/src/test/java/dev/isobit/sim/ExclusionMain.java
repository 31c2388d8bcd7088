package dev.isobit.sim;

import dev.isobit.Backend;
import dev.isobit.IsobitException;
import dev.isobit.cuda.CudaProvider;
import java.util.Arrays;

/** Run in a child JVM: opens backends by name, one after the other, and prints what comes of it. */
final class ExclusionMain {
    private ExclusionMain() {}

    public static void main(String[] arguments) {
        for (String name : arguments) {
            if (name.equals("best")) {
                try (Backend backend = Backend.best()) {
                    System.out.println("best: " + backend.name());
                }
                continue;
            }
            try (Backend backend = Backend.open(name)) {
                System.out.println(name + ": " + (Arrays.equals(Workload.bits("cpu"), Workload.bits(backend))
                        ? "the cpu's bits"
                        : "other bits"));
            } catch (IsobitException e) {
                System.out.println(name + ": " + e.getMessage());
            }
        }
        System.out.println("library: " + CudaProvider.loadedLibrary());
    }
}
