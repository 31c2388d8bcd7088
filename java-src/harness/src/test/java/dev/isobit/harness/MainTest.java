package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** What the command line says to wrong words. */
class MainTest {
    private final StringWriter err = new StringWriter();

    @Test
    void aWrongCommandNamesThoseThereAre() {
        assertEquals(CommandLine.ExitCode.USAGE, execute("nonsense"));
        String there = String.join(", ", Main.commandLine().getSubcommands().keySet());
        assertEquals(List.of("isobit: no command \"nonsense\"; there are " + there, "Try isobit --help"), said());
    }

    @Test
    void aWrongOptionIsNamed() {
        assertEquals(CommandLine.ExitCode.USAGE, execute("--nonsense"));
        assertEquals(List.of("isobit: Unknown option: '--nonsense'", "Try isobit --help"), said());
    }

    @Test
    void aWrongValueIsToldInOneLine() {
        assertEquals(CommandLine.ExitCode.USAGE, execute("demo", "--epochs", "-1"));
        assertEquals(List.of("isobit demo: --epochs = -1 is not at least 1", "Try isobit demo --help"), said());
    }

    private int execute(String... arguments) {
        return Main.commandLine().setErr(new PrintWriter(err, true)).execute(arguments);
    }

    private List<String> said() {
        return err.toString().lines().toList();
    }
}
