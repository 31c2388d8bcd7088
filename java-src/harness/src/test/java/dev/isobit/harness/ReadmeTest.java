package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.spi.BackendProvider;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReader;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What README.md says is so: its example, its commands, its names, its support matrix. */
class ReadmeTest {
    /** Where .ci/run runs for every change. A platform joins this list when it joins there, and not before. */
    private static final Set<String> TESTED = Set.of("Linux x86-64");
    /** Backends that run the kernels; to open one here would decide which driver this JVM has. */
    private static final Set<String> KERNELS = Set.of("cuda", "sim");
    /** Operations whose kernels have another's name. */
    private static final Map<String, String> SHARED_KERNELS = Map.of("LogSoftmax", "Softmax");
    private static final List<String> PLATFORMS = List.of("Linux x86-64", "Linux aarch64", "macOS aarch64",
            "macOS x86-64", "Windows x86-64", "Windows aarch64");

    private static Path root;
    private static String readme;

    @TempDir
    Path scratch;

    @BeforeAll
    static void read() throws IOException {
        root = Path.of(System.getProperty("isobit.home"));
        readme = Files.readString(root.resolve("README.md"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"vector", "scalar"})
    void theExamplePrintsWhatIsSaid(String path) throws Exception {
        String core = core().toString();
        Path source = scratch.resolve("Example.java");
        Files.writeString(source, block("java"));
        var compiler = ToolProvider.getSystemJavaCompiler();
        assertNotNull(compiler, "this JVM has no compiler");
        try (var files = compiler.getStandardFileManager(null, Locale.ROOT, StandardCharsets.UTF_8)) {
            var said = new StringWriter();
            assertTrue(compiler.getTask(said, files, null, List.of("-Xlint:all", "-Werror", "-cp", core, "-d",
                    scratch.toString()), null, files.getJavaFileObjects(source)).call(), said::toString);
        }
        var command = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules", "jdk.incubator.vector", "-Disobit.cpu.path=" + path, "-cp",
                core + System.getProperty("path.separator") + scratch, "Example");
        command.redirectError(scratch.resolve("err").toFile());
        Process process = command.start();
        String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), () -> printed + read(scratch.resolve("err")));
        assertEquals(block("text"), printed.replace(System.lineSeparator(), "\n"));
    }

    @Test
    void everyCommandHasItsLine() {
        // Those that other modules bring have theirs as well: CommandsTest of bench knows them all.
        Set<String> there = new TreeSet<>(Main.commandLine().getSubcommands().keySet());
        there.removeAll(matches("^\\| `\\./isobit ([a-z-]+)").collect(Collectors.toSet()));
        assertEquals(Set.of(), there, "commands without a line in README.md's table of commands");
    }

    @Test
    void theTestCommandIsThatOfTheIntegration() throws IOException {
        assertTrue(matches("^```sh\\n(.+)\\n").toList().contains("mvn verify"));
        assertTrue(Files.readAllLines(root.resolve(".ci/run")).contains("mvn -B verify"));
    }

    @Test
    void coordinatesAreThoseOfTheBuild() throws IOException {
        Set<String> versions = matches("(?:<version>|:|`)(\\d+\\.\\d+\\.\\d+(?:-SNAPSHOT)?)(?:</version>|\"|`)")
                .collect(Collectors.toSet());
        assertEquals(Set.of(Version.current()), versions);
        for (String artifact : matches("(isobit-[a-z]+)(?=[:`<])").collect(Collectors.toSet())) {
            String pom = "java-src/" + artifact.substring("isobit-".length()) + "/pom.xml";
            assertTrue(Files.readString(root.resolve(pom)).contains("<artifactId>" + artifact + "</artifactId>"), pom);
        }
    }

    @Test
    void systemPropertiesAreThoseOfTheCode() throws IOException {
        var inCode = new TreeSet<String>();
        for (String module : List.of("core", "cuda", "sim", "junit")) {
            try (Stream<Path> sources = Files.walk(root.resolve("java-src/" + module + "/src/main/java"))) {
                for (Path source : sources.filter(Files::isRegularFile).toList()) {
                    matches(Files.readString(source), "\"(isobit\\.[a-z.]+)\"").forEach(inCode::add);
                }
            }
        }
        assertEquals(inCode, matches("^\\| `(isobit\\.[a-z.]+)`").collect(Collectors.toCollection(TreeSet::new)));
    }

    @ParameterizedTest
    @ValueSource(strings = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"})
    void linksLeadSomewhere(String document) throws IOException {
        List<String> targets = matches(Files.readString(root.resolve(document)), "\\]\\(([^)#\\s]+)\\)").toList();
        assertFalse(targets.isEmpty());
        for (String target : targets) {
            assertTrue(target.startsWith("https://") || Files.exists(root.resolve(target)), target);
        }
    }

    @Test
    void theSupportMatrixIsThatOfTheCode() throws IOException {
        ReadmeBlock.check("support matrix", supportMatrix());
    }

    @Test
    void theSpeedIsThatOfTheNewestRecords() throws IOException {
        List<JsonNode> runs;
        try (Stream<Path> results = Files.list(root.resolve("bench/results"))) {
            runs = results.filter(file -> file.getFileName().toString().startsWith("paired-")).map(ReadmeTest::json)
                    .sorted(Comparator.comparing(run -> run.get("started").asText())).toList();
        }
        JsonNode newest = runs.getLast();
        var byThreads = new TreeMap<String, Map<String, String>>();
        for (JsonNode run : runs) {
            if (!where(run).equals(where(newest))) {
                continue;
            }
            for (JsonNode result : run.get("results")) {
                String[] name = result.get("name").asText().split(", ");
                byThreads.computeIfAbsent(name[1], threads -> new LinkedHashMap<>()).put(name[0],
                        String.format(Locale.ROOT, "%.2f G (%.2f)", result.get("side").get("gigaElements").asDouble(),
                                result.get("ratio").get("median").asDouble()));
            }
        }
        JsonNode machine = newest.get("machine");
        var table = new StringBuilder(String.format(Locale.ROOT, "%s, %d processors, %s, JDK %s, %s:%n%n",
                machine.get("cpu").asText(), machine.get("processors").asInt(), newest.get("isobit").asText(),
                machine.get("java").asText().split(" ")[0], newest.get("started").asText().substring(0, 10)));
        row(table, Stream.concat(Stream.of("case"), byThreads.keySet().stream()).toList());
        row(table, Stream.concat(Stream.of("---"), byThreads.keySet().stream().map(threads -> "---")).toList());
        for (String name : byThreads.firstEntry().getValue().keySet()) {
            row(table, Stream.concat(Stream.of(name), byThreads.values().stream().map(cells -> cells.get(name)))
                    .toList());
        }
        ReadmeBlock.check("speed", table.toString().replace(System.lineSeparator(), "\n"));
    }

    /** Machine, JDK and day: records of one may be of some cases each. */
    private static String where(JsonNode run) {
        JsonNode machine = run.get("machine");
        return machine.get("cpu").asText() + machine.get("java").asText()
                + run.get("started").asText().substring(0, 10);
    }

    private static JsonNode json(Path file) {
        try {
            return new ObjectMapper().readTree(file.toFile());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String supportMatrix() throws IOException {
        // Those that are shipped: tests bring some of their own.
        List<String> backends = ServiceLoader.load(BackendProvider.class).stream()
                .filter(provider -> !provider.type().getName().startsWith("dev.isobit.harness."))
                .map(ServiceLoader.Provider::get).sorted(Comparator.comparingInt(BackendProvider::priority).reversed())
                .map(BackendProvider::name).toList();
        JsonNode ptx = json(root.resolve("kernels/ptx/manifest.json")).get("ptx");
        Map<String, Set<DType>> hostTypes = new TreeMap<>();
        for (String name : backends) {
            if (!KERNELS.contains(name)) {
                try (Backend backend = Backend.open(name)) {
                    hostTypes.put(name, backend.dtypes());
                }
            }
        }
        var table = new StringBuilder();
        row(table, Stream.concat(Stream.of("operation"), backends.stream().map(name -> "`" + name + "`")).toList());
        row(table, Stream.concat(Stream.of("---"), backends.stream().map(name -> "---")).toList());
        for (String operation : operations()) {
            var cells = new ArrayList<String>(List.of("`" + operation + "`"));
            for (String name : backends) {
                // What a host backend does not compute in, it takes where kernels do: the contract tests hold it to that.
                Set<DType> types = kernelTypes(ptx, operation);
                if (!KERNELS.contains(name)) {
                    types.addAll(hostTypes.get(name));
                }
                cells.add(types.stream().map(DType::name).collect(Collectors.joining(", ")));
            }
            row(table, cells);
        }
        table.append('\n');
        row(table, List.of("platform", "`cpu`, `reference`", "`cuda`", "`sim`"));
        row(table, List.of("---", "---", "---", "---"));
        for (String platform : PLATFORMS) {
            row(table, List.of(platform, TESTED.contains(platform) ? "tested" : "untested",
                    platform.equals(cudaPlatform()) ? cudaTests() : "not available",
                    platform.equals(cudaPlatform()) ? "tested" : "not available"));
        }
        table.append("\nKernels are assembled by `ptxas` for compute capability ").append(capabilities(ptx))
                .append(".\n");
        return table.toString();
    }

    /** Public classes with a factory {@code on(Backend, ...)}. */
    private static List<String> operations() throws IOException {
        var found = new ArrayList<String>();
        var core = ModuleFinder.of(core()).find("dev.isobit");
        try (ModuleReader reader = core.orElseThrow().open(); Stream<String> entries = reader.list()) {
            for (String entry : entries.filter(name -> name.matches("dev/isobit/[A-Za-z]+\\.class")).sorted()
                    .toList()) {
                Class<?> type = Class.forName("dev.isobit." + entry.substring(entry.lastIndexOf('/') + 1,
                        entry.length() - ".class".length()));
                if (Modifier.isPublic(type.getModifiers()) && Stream.of(type.getMethods())
                        .anyMatch(
                                method -> method.getName().equals("on") && Modifier.isStatic(method.getModifiers()))) {
                    found.add(type.getSimpleName());
                }
            }
        } catch (ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
        return found;
    }

    /** The types in the names of an operation's kernels. */
    private static Set<DType> kernelTypes(JsonNode ptx, String operation) {
        String kernels = SHARED_KERNELS.getOrDefault(operation, operation);
        String prefix = kernels.replaceAll("(?<=[a-z])(?=[A-Z])", "_").toLowerCase(Locale.ROOT) + "_";
        Set<DType> types = EnumSet.noneOf(DType.class);
        for (JsonNode module : ptx) {
            module.get("entries").fieldNames().forEachRemaining(entry -> {
                if (entry.startsWith(prefix) && List.of(entry.split("_")).contains("mixed")) {
                    types.addAll(List.of(DType.F32, DType.BF16, DType.F16));
                }
                if (entry.startsWith(prefix)) {
                    for (DType type : DType.values()) {
                        if (List.of(entry.split("_")).contains(type.name().toLowerCase(Locale.ROOT))) {
                            types.add(type);
                        }
                    }
                }
            });
        }
        return types;
    }

    /** What JCuda's natives are for, in the words of {@link #PLATFORMS}. */
    private static String cudaPlatform() throws IOException {
        String pom = Files.readString(root.resolve("java-src/cuda/pom.xml"));
        return pom.contains("<classifier>linux-x86_64</classifier>") ? "Linux x86-64" : "";
    }

    private static String cudaTests() throws IOException {
        Set<String> devices = devices();
        return (simulated() ? "tested on a simulated device; " : "")
                + (devices.isEmpty()
                        ? "no run on a GPU is recorded yet"
                        : "verified on " + String.join(", ", devices));
    }

    /** Whether the tests that need a device run on the simulated one. */
    private static boolean simulated() throws IOException {
        return Files.readString(root.resolve("java-src/sim/pom.xml")).contains("<groups>gpu</groups>");
    }

    /** Devices that a recorded report of {@code isobit verify} found sound. */
    private static Set<String> devices() throws IOException {
        var found = new TreeSet<String>();
        try (Stream<Path> results = Files.list(root.resolve("bench/results"))) {
            for (Path result : results.filter(file -> file.getFileName().toString().matches("verify.*\\.json"))
                    .toList()) {
                JsonNode report = json(result);
                assertTrue(report.get("passed").asBoolean(), result + " is the record of a failure");
                for (JsonNode subject : report.get("subjects")) {
                    if (subject.get("name").asText().equals("cuda")) {
                        found.add(subject.get("description").asText());
                    }
                }
            }
        }
        return found;
    }

    private static String capabilities(JsonNode ptx) {
        var found = new TreeSet<Integer>();
        for (JsonNode module : ptx) {
            for (JsonNode entry : module.get("entries")) {
                entry.get("registers").fieldNames()
                        .forEachRemaining(name -> found.add(Integer.parseInt(name.substring("sm_".length()))));
            }
        }
        return found.stream().map(number -> number / 10 + "." + number % 10).collect(Collectors.joining(", "));
    }

    private static Path core() {
        return Path.of(URI.create(Backend.class.getProtectionDomain().getCodeSource().getLocation().toString()));
    }

    private static void row(StringBuilder table, List<String> cells) {
        table.append(cells.stream().collect(Collectors.joining(" | ", "| ", " |\n")));
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** The first fenced block of a language. */
    private static String block(String language) {
        return matches("^```" + language + "\\n((?s:.*?))^```$").findFirst()
                .orElseThrow(() -> new AssertionError("README.md has no block of " + language));
    }

    private static Stream<String> matches(String pattern) {
        return matches(readme, pattern);
    }

    /** The first group wherever a pattern matches. */
    private static Stream<String> matches(String text, String pattern) {
        return Pattern.compile(pattern, Pattern.MULTILINE).matcher(text).results().map(match -> match.group(1));
    }
}
