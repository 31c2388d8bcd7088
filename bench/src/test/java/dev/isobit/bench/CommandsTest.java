package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.harness.Main;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The command line as the launcher has it: with the commands of this module. */
class CommandsTest {
    @Test
    void everyCommandHasItsLineInTheReadme() throws IOException {
        String readme = Files.readString(Path.of(System.getProperty("isobit.home"), "README.md"));
        Set<String> told = Pattern.compile("^\\| `\\./isobit ([a-z-]+)", Pattern.MULTILINE).matcher(readme).results()
                .map((MatchResult match) -> match.group(1)).collect(Collectors.toCollection(TreeSet::new));
        assertEquals(new TreeSet<>(Main.commandLine().getSubcommands().keySet()), told);
    }

    @Test
    void wrongOptionsNameTheValue() {
        assertRefused("--ops = softmax is none of cross-entropy, bce, adamw, adamw-clipped, sgd", "bench", "--ops",
                "softmax");
        assertRefused("--backend = reference is none of cpu, cuda, sim", "bench", "--backend", "reference");
        assertRefused("--peers = mxnet is none of libtorch, djl, nd4j, tensorflow", "bench", "--peers=djl,mxnet");
    }

    private static void assertRefused(String expected, String... arguments) {
        var err = new StringWriter();
        assertEquals(2, Main.commandLine().setErr(new PrintWriter(err, true)).execute(arguments));
        assertTrue(err.toString().contains(expected), err.toString());
    }
}
