package dev.isobit.bench;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** What another process is told that measures by turns; no PyTorch is needed. */
class TurnsTest {
    private static final String SCRIPT = "bench/peers/torch/turns.py";

    private record Ended(int code, List<String> lines, String errors) {}

    private static Ended turns(String input, String... arguments) {
        var written = new ByteArrayOutputStream();
        var errors = new StringWriter();
        int code = new CommandLine(
                new Turns(new ByteArrayInputStream(input.getBytes(US_ASCII)), new PrintStream(written, true, US_ASCII)))
                .setErr(new PrintWriter(errors, true)).execute(arguments);
        return new Ended(code, written.toString(US_ASCII).lines().toList(), errors.toString());
    }

    @ParameterizedTest
    @CsvSource({"adamw,1x1003", "cross-entropy,5x1000", "cross-entropy,64x10", "bce,7x3", "sgd,3x100"})
    void eachLineOfInputIsAnsweredByNanoseconds(String operation, String shape) {
        Ended ended = turns("1\n" + "200\n3\n".repeat(5), operation, shape, "--threads=2", "--warm-up=0.01");
        assertEquals(0, ended.code, ended.errors);
        assertEquals(12, ended.lines.size(), ended.lines.toString());
        assertEquals("ready", ended.lines.getFirst());
        long[] nanos = ended.lines.stream().skip(2).mapToLong(Long::parseLong).toArray();
        assertTrue(Arrays.stream(nanos).allMatch(each -> each > 0), ended.lines.toString());
        // Two hundred calls take longer than three, but where the process was stopped during the three.
        assertTrue(IntStream.range(0, 5).anyMatch(i -> nanos[2 * i] > 2 * nanos[2 * i + 1]), ended.lines.toString());
    }

    /** Calls are queued, and waited for before they are told. */
    @Test
    void aDeviceAnswersToo() {
        Ended ended = turns("1\n3\n", "adamw", "1x1003", "--backend=sim", "--warm-up=0.01");
        assertEquals(0, ended.code, ended.errors);
        assertEquals(3, ended.lines.size(), ended.lines.toString());
        assertTrue(ended.lines.stream().skip(1).allMatch(line -> Long.parseLong(line) > 0), ended.lines.toString());
    }

    @Test
    void theEndOfTheInputIsTheEnd() {
        Ended ended = turns("", "adamw", "1x64", "--warm-up=0.01");
        assertEquals(0, ended.code, ended.errors);
        assertEquals(List.of("ready"), ended.lines);
    }

    @Test
    void whatIsWrongIsNamed() {
        assertRefused("input line \"-3\"", "-3\n", "adamw", "1x64", "--warm-up=0.01");
        assertRefused("input line \"\"", "\n", "adamw", "1x64", "--warm-up=0.01");
        assertRefused("input line \"9999999\"", "9999999\n", "adamw", "1x64", "--warm-up=0.01");
        assertRefused("OPERATION = softmax is none of cross-entropy, bce, adamw, adamw-clipped, sgd", "", "softmax",
                "1x64");
        assertRefused("SHAPE = 64 is no shape", "", "adamw", "64");
        assertRefused("SHAPE = 0x64 is no shape", "", "adamw", "0x64");
        assertRefused("--backend = reference is none of cpu, cuda, sim", "", "adamw", "1x64", "--backend=reference");
        assertRefused("--threads = 0", "", "adamw", "1x64", "--threads=0");
        assertRefused("--warm-up = NaN", "", "adamw", "1x64", "--warm-up=NaN");
    }

    private static void assertRefused(String expected, String input, String... arguments) {
        Ended ended = turns(input, arguments);
        assertEquals(2, ended.code);
        assertTrue(ended.errors.contains(expected), ended.errors);
    }

    private static Ended python(String... command) throws IOException, InterruptedException {
        List<String> all = new ArrayList<>(List.of("python3"));
        all.addAll(List.of(command));
        Process process = new ProcessBuilder(all).directory(Path.of(System.getProperty("isobit.home")).toFile())
                .redirectErrorStream(true).start();
        process.getOutputStream().close();
        String said = new String(process.getInputStream().readAllBytes(), UTF_8);
        return new Ended(process.waitFor(), said.lines().toList(), said);
    }

    @Test
    void theScriptSaysWhatItNeeds() throws Exception {
        try {
            assumeTrue(python("-c", "import sys; assert sys.version_info >= (3, 9)").code == 0, "python3 is too old");
        } catch (IOException e) {
            assumeTrue(false, "no python3: " + e.getMessage());
        }
        Ended help = python(SCRIPT, "--help");
        assertEquals(0, help.code, help.errors);
        assertTrue(help.errors.contains("exit codes:"), help.errors);
        Ended list = python(SCRIPT, "--list", "--threads=1", "--only=^adamw");
        assertEquals(List.of("adamw 1x1048576, 1 thread", "adamw 1x16777216, 1 thread"), list.lines);
        Ended device = python(SCRIPT, "--list", "--device=cuda", "--only=^adamw");
        assertEquals(List.of("adamw 1x134217728, GPU", "adamw 10000x64, GPU", "adamw 1x1048576, GPU",
                "adamw 1x16777216, GPU"), device.lines);
        // Without the folders in which PyTorch could be.
        Ended missing = python("-I", "-S", SCRIPT, "--only=^adamw");
        assertEquals(2, missing.code, missing.errors);
        assertTrue(missing.errors.contains("pip install torch"), missing.errors);
    }
}
