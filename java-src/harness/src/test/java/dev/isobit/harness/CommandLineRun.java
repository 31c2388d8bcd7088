package dev.isobit.harness;

import java.io.PrintWriter;
import java.io.StringWriter;

/**
 * One run of the command line in this JVM.
 *
 * @param code the exit code
 * @param out what it printed
 * @param err what it complained of
 */
public record CommandLineRun(int code, String out, String err) {
    public static CommandLineRun of(String... args) {
        var out = new StringWriter();
        var err = new StringWriter();
        int code = Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err)).execute(args);
        return new CommandLineRun(code, out.toString(), err.toString());
    }
}
