package dev.isobit.harness;

import dev.isobit.harness.bundle.BundleCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The command line {@code isobit}. */
@Command(name = "isobit", mixinStandardHelpOptions = true, versionProvider = Version.class,
        subcommands = BundleCommand.class,
        description = "Fused losses and optimizers with the same bits on every path.")
public final class Main implements Runnable {
    @Spec
    private CommandSpec spec;

    /** Called by picocli and by {@link #main}. */
    public Main() {}

    /**
     * Runs the command line and ends the JVM with its exit code.
     *
     * @param args the arguments of the command line
     */
    public static void main(String[] args) {
        System.exit(new CommandLine(new Main()).execute(args));
    }

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }
}
