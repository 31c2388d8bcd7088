package dev.isobit.harness.demo;

import dev.isobit.Backend;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.Workspace;
import java.nio.file.Path;

/** Main class of a child JVM: trains one split on one backend and leaves the record in a file. */
final class TrainInChild {
    private TrainInChild() {}

    /** Arguments: backend, split, file of the {@link Training}, file for the {@link TrainingRecord}. */
    public static void main(String[] args) {
        ChildJvm.endWithParent();
        var training = Json.read(Path.of(args[2]), Training.class);
        try (var workspace = new Workspace(); Backend backend = Backend.open(args[0])) {
            var record = training.run(backend, Digits.load(), Integer.parseInt(args[1]), ChildJvm::tellProgress);
            workspace.write(Path.of(args[3]), Json.write(record));
        }
    }
}
