package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.contract.CrossEntropyCase;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The same bits on every JVM: each fork runs {@link Fingerprint} with other options, and must have run the path and the
 * vector width that these are for. What is expected comes from the definitions, not from another fork.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CpuForkTest {
    /**
     * JVM options, what they must lead to, a VM option that shows whether this CPU can, and the memory of each run of the
     * workload.
     */
    enum Fork {
        /** The widest vectors, both kinds of memory by turns. */
        AS_IT_IS("", "2 threads", null, "anan"),
        /** No FMA either. */
        AVX_0("-XX:UseAVX=0", "scalar code with emulated FMA", "UseAVX=0", "nn"),
        /** 128 bits, since integer vectors are no wider. */
        AVX_1("-XX:UseAVX=1", "(4 lanes)", "UseAVX=1", "nn"),
        /** 256 bits. */
        AVX_2("-XX:UseAVX=2", "(8 lanes)", "UseAVX=2", "nn"),
        /** 512 bits. */
        AVX_3("-XX:UseAVX=3", "(16 lanes)", "UseAVX=3", "nn"),
        /** Too short to be worth while. */
        BYTES_8("-XX:MaxVectorSize=8", "only 2 float lanes", "MaxVectorSize=8", "a"),
        /** 128 bits with the newest instructions. */
        BYTES_16("-XX:MaxVectorSize=16", "(4 lanes)", "MaxVectorSize=16", "aa"),
        /** 256 bits with the newest instructions. */
        BYTES_32("-XX:MaxVectorSize=32", "(8 lanes)", "MaxVectorSize=32", "aa"),
        /** 512 bits. */
        BYTES_64("-XX:MaxVectorSize=64", "(16 lanes)", "MaxVectorSize=64", "aa"),
        /** Asked for. */
        SCALAR("-Disobit.cpu.path=scalar", "scalar code: isobit.cpu.path=scalar", null, "an"),
        /** No --add-modules. */
        NO_MODULE("", "jdk.incubator.vector is not there", null, "aa"),
        /** Wide vectors alone are no use. */
        NO_FMA("-XX:-UseFMA", "scalar code with emulated FMA: the JVM has no hardware FMA", "UseFMA=false", "aa"),
        /** C1 alone. */
        NO_C2("-XX:TieredStopAtLevel=1", "no C2 compiler (TieredStopAtLevel=1)", null, "nn"),
        /** No compiler. */
        INTERPRETED("-Xint", "only interprets (-Xint)", null, "a"),
        /** The Vector API's own Java code. */
        NO_INTRINSICS("-XX:TieredStopAtLevel=1 -Disobit.cpu.path=vector", "lanes)", null, "n"),
        /** The caller alone. */
        ONE_THREAD("-Disobit.threads=1", "1 thread", null, "nn"),
        /** Divides nothing. */
        THREE_THREADS("-Disobit.threads=3", "3 threads", null, "aa"),
        /** More than rows in many cases. */
        FIVE_THREADS("-Disobit.threads=5", "5 threads", null, "aa");

        final String options;
        final String description;
        final String needs;
        /** A letter a run: a for arrays, n for native memory. */
        final String memory;

        Fork(String options, String description, String needs, String memory) {
            this.options = options;
            this.description = description;
            this.needs = needs;
            this.memory = memory;
        }
    }

    /** What a fork wrote, and what its JVM printed. */
    private record Found(Map<String, String> values, String printed) {}

    /** A copy of a kernel for one kind of memory, compiled by C2. */
    private static final Pattern COMPILED = Pattern.compile(" 4 +dev\\.isobit\\.cpu\\.(Vector\\w+)/0x\\w+::");

    @TempDir
    static Path folder;

    private final Map<Fork, Future<Found>> forks = new EnumMap<>(Fork.class);
    private ExecutorService starters;
    private String expected;
    private String expectedMath;

    @BeforeAll
    void startForks() {
        starters = Executors.newFixedThreadPool(2);
        for (Fork fork : Fork.values()) {
            forks.put(fork, starters.submit(() -> fingerprint(fork)));
        }
        expected = Fingerprint.of(new Fingerprint.OfDefinition());
        expectedMath = Fingerprint.ofMath();
    }

    @AfterAll
    void stop() {
        starters.shutdownNow();
    }

    private static Found fingerprint(Fork fork) throws IOException, InterruptedException {
        List<String> options = new ArrayList<>();
        if (fork != Fork.NO_MODULE) {
            options.addAll(List.of("--add-modules", "jdk.incubator.vector"));
        }
        // The kernels are compiled almost at once, and the workload waits for them: else most of it would be over before.
        options.addAll(List.of("-XX:+PrintCompilation", "-XX:CompileCommand=quiet",
                "-XX:CompileCommand=CompileThresholdScaling,dev.isobit.cpu.Vector*::*,0.01",
                "-XX:CompileCommand=BackgroundCompilation,dev.isobit.cpu.Vector*::*,false"));
        if (!fork.options.isEmpty()) {
            options.addAll(List.of(fork.options.split(" ")));
        }
        Path file = folder.resolve(fork.name());
        String printed = java(fork.name(), options, Fingerprint.class, fork.memory, file.toString());
        Map<String, String> values = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            int equals = line.indexOf('=');
            values.put(line.substring(0, equals), line.substring(equals + 1));
        }
        return new Found(values, printed);
    }

    /** Runs a main class of the tests in a JVM of its own; returns what it printed. */
    private static String java(String name, List<String> options, Class<?> main, String... args)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        // Flags that another architecture does not know; a fork that they did not change is skipped.
        command.addAll(List.of("-XX:+IgnoreUnrecognizedVMOptions", "-XX:+UseSerialGC"));
        if (options.stream().noneMatch(option -> option.startsWith("-Disobit.threads"))) {
            command.add("-Disobit.threads=2");
        }
        command.addAll(options);
        command.addAll(List.of("-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                main.getName()));
        command.addAll(List.of(args));
        File output = folder.resolve(name + ".txt").toFile();
        Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output).start();
        try {
            assertTrue(process.waitFor(180, TimeUnit.SECONDS), () -> command + " does not end");
        } finally {
            process.destroyForcibly();
        }
        String printed = Files.readString(output.toPath());
        assertEquals(0, process.exitValue(), () -> command + "\n" + printed);
        return printed;
    }

    @ParameterizedTest
    @EnumSource
    void sameBits(Fork fork) throws Exception {
        Found fromFork = forks.get(fork).get();
        Map<String, String> found = fromFork.values;
        if (fork.needs != null) {
            String option = fork.needs.substring(0, fork.needs.indexOf('='));
            assumeTrue(fork.needs.equals(option + "=" + found.get(option)),
                    () -> "this CPU or JVM has " + option + "=" + found.get(option) + ", not " + fork.needs);
        }
        String description = found.get("description");
        assertTrue(description.contains(fork.description),
                () -> fork + " ran \"" + description + "\", not \"" + fork.description + "\"");
        assertEquals("[" + expected + "]", found.get("digests"), () -> fork + ", " + description);
        assertEquals(expectedMath, found.get("math"), () -> fork + ", " + description);
        if (description.contains("lanes)") && fork != Fork.NO_INTRINSICS) {
            Set<String> compiled = COMPILED.matcher(fromFork.printed).results().map(r -> r.group(1))
                    .collect(Collectors.toSet());
            assertTrue(compiled.size() >= 4,
                    () -> fork + ": of the vector kernels only " + compiled + " were compiled");
        }
    }

    /** The comparison can fail: one bit of one result. */
    @Test
    void oneBitChangesTheDigest() {
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(1))) {
            assertEquals(expected, Fingerprint.of(new Fingerprint.OfBackend(backend, false)));
            var changed = new Fingerprint.OfBackend(backend, false) {
                @Override
                public List<float[]> crossEntropy(CrossEntropyCase test) {
                    List<float[]> results = super.crossEntropy(test);
                    if (test.classes() == 8209) {
                        results.get(1)[8000] += Float.MIN_VALUE;
                    }
                    return results;
                }
            };
            assertFalse(expected.equals(Fingerprint.of(changed)));
        }
    }

    @Test
    void aPathThatIsUnknownOrCannotRun() throws Exception {
        String unknown = java("unknown-path", List.of("-Disobit.cpu.path=simd"), PrintProbes.class);
        assertTrue(unknown.contains("cpu false isobit.cpu.path = \"simd\" is neither scalar nor vector"), unknown);
        assertTrue(unknown.contains("reference true"), unknown);
        String noModule = java("no-module", List.of("-Disobit.cpu.path=vector"), PrintProbes.class);
        assertTrue(noModule.contains("cpu false the module jdk.incubator.vector is not there"), noModule);
    }

    /** Prints what {@link Backend#probes} finds. */
    static final class PrintProbes {
        private PrintProbes() {}

        public static void main(String[] args) {
            Backend.probes().forEach(p -> System.out.println(p.name() + " " + p.available() + " " + p.detail()));
        }
    }
}
