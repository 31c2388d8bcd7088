package dev.isobit.harness.trajectories;

import dev.isobit.Backend;
import dev.isobit.harness.Workspace;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code isobit trajectories}: what SGD, momentum, Adam and AdamW do from the same start. */
@Command(name = "trajectories", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Draws the ways of SGD, momentum, Adam and AdamW down the same slope.",
        description = "Runs each optimizer for 60 steps from one start on 0.5 (x^2 + 24 y^2), and writes a picture (SVG) "
                + "with the contours of that function.",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:the picture is written", "2:wrong options", "3:it could not run"})
public final class TrajectoriesCommand implements Callable<Integer> {
    @Option(names = "--out", paramLabel = "FILE", defaultValue = "target/isobit-trajectories.svg",
            description = "where the picture goes (default: ${DEFAULT-VALUE})")
    private Path out = Path.of("target", "isobit-trajectories.svg");

    @Option(names = "--backend", paramLabel = "NAME", description = "run on this backend instead of the best one")
    private @Nullable String backendName;

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public TrajectoriesCommand() {}

    @Override
    public Integer call() {
        PrintWriter to = spec.commandLine().getOut();
        List<Trajectory> trajectories;
        try (Backend backend = backendName == null ? Backend.best() : Backend.open(backendName)) {
            to.printf("On %s: %s%n", backend.name(), backend.description());
            trajectories = Trajectory.all(backend);
        }
        for (Trajectory t : trajectories) {
            to.printf(Locale.ROOT, "  %-9s %-26s ends at %.3e%n", t.name(), t.settings(),
                    t.points().getLast().height());
        }
        Workspace.makeFolder(out.toAbsolutePath().getParent());
        try (var workspace = new Workspace()) {
            workspace.write(out, TrajectoryPicture.of(trajectories));
        }
        to.printf("Picture: %s%n", out.toAbsolutePath().normalize());
        to.flush();
        return 0;
    }
}
