package dev.isobit.harness.cases;

import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.Workspace;
import java.nio.file.Path;

/** Main class of a child JVM: runs a directory on a backend that wants a JVM of its own. */
final class CasesInChild {
    private CasesInChild() {}

    /** Arguments: directory, backend, file for the report, and maybe the folder for what is computed. */
    public static void main(String[] args) {
        ChildJvm.endWithParent();
        try (var workspace = new Workspace()) {
            long[] done = {0};
            CasesReport report = CasesRun.run(Path.of(args[0]), args[1], args.length > 3 ? Path.of(args[3]) : null,
                    workspace, count -> ChildJvm.tellProgress(done[0] += count));
            workspace.write(Path.of(args[2]), Json.write(report));
        }
    }
}
