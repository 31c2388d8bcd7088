package dev.isobit.harness;

import dev.isobit.IsobitException;
import dev.isobit.harness.ChildJvm.IsobitChildException;
import dev.isobit.harness.bundle.BundleCommand;
import dev.isobit.harness.cases.CasesCommand;
import dev.isobit.harness.demo.DemoCommand;
import dev.isobit.harness.doctor.DoctorCommand;
import dev.isobit.harness.math.MathCommand;
import dev.isobit.harness.sanitize.SanitizeCommand;
import dev.isobit.harness.trajectories.TrajectoriesCommand;
import dev.isobit.harness.verify.VerifyCommand;
import java.io.UncheckedIOException;
import java.util.ServiceLoader;
import java.util.logging.Level;
import java.util.logging.Logger;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command line {@code isobit}. */
@Command(name = "isobit", mixinStandardHelpOptions = true, versionProvider = Version.class,
        subcommands = {DemoCommand.class, VerifyCommand.class, CasesCommand.class, DoctorCommand.class,
            MathCommand.class, SanitizeCommand.class, TrajectoriesCommand.class, BundleCommand.class},
        description = "Fused losses and optimizers with the same bits on every path.")
public final class Main implements Runnable {
    /** The exit code of a command that could not do its work. */
    public static final int EXIT_FAILED = 3;

    /** Held, or its level would be collected: what a backend logs when it is opened is said by the commands. */
    private static final Logger LOG = Logger.getLogger("isobit");

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
        LOG.setLevel(Level.WARNING);
        System.exit(commandLine().execute(args));
    }

    /**
     * The command line with all commands: those of this module, and those that other modules bring.
     *
     * @return a command line that has not been executed
     */
    public static CommandLine commandLine() {
        var commandLine = new CommandLine(new Main());
        ServiceLoader.load(Subcommand.class).forEach(commandLine::addSubcommand);
        return commandLine.setExecutionExceptionHandler(Main::failed).setParameterExceptionHandler(Main::refused);
    }

    /** What is wrong is told alone: in front of a page of usage nobody finds it. */
    private static int refused(ParameterException e, String[] args) {
        CommandLine command = e.getCommandLine();
        String name = command.getCommandSpec().qualifiedName();
        String wrong = e.getMessage();
        if (e instanceof UnmatchedArgumentException unmatched && command.getParent() == null
                && !unmatched.getUnmatched().getFirst().startsWith("-")) {
            wrong = "no command \"" + unmatched.getUnmatched().getFirst() + "\"; there are "
                    + String.join(", ", command.getSubcommands().keySet());
        }
        command.getErr().println(name + ": " + wrong);
        command.getErr().println("Try " + name + " --help");
        return command.getCommandSpec().exitCodeOnInvalidInput();
    }

    /** What a user can mend is told in one line; the rest with its stack. */
    private static int failed(Exception e, CommandLine command, ParseResult parsed) {
        if (Workspace.isEnding()) {
            return EXIT_FAILED;
        }
        var err = command.getErr();
        if (e instanceof IsobitException || e instanceof IllegalArgumentException
                || e instanceof UncheckedIOException || e instanceof IsobitChildException) {
            err.println(command.getCommandSpec().qualifiedName() + ": " + e.getMessage());
        } else {
            e.printStackTrace(err);
        }
        return EXIT_FAILED;
    }

    @Override
    public void run() {
        spec.commandLine().usage(System.out);
    }
}
