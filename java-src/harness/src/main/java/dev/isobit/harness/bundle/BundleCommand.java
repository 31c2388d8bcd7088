package dev.isobit.harness.bundle;

import dev.isobit.harness.Version;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code isobit bundle}: one archive with a Java runtime, all jars and the tests that need a GPU, for a machine with no
 * JDK, no Maven and no network. Made from a checkout: it builds the tests.
 */
@Command(name = "bundle", mixinStandardHelpOptions = true,
        header = "Packs all that a machine without JDK, Maven and network needs to run isobit.",
        description = "Writes target/isobit-<version>-bundle-linux-x86_64.tar.gz, which runs on a Linux x86-64 machine "
                + "with no JDK, no Maven and no network: bin/isobit doctor, verify, demo, bench, test-gpu.")
public final class BundleCommand implements Callable<Integer> {
    /** The most bytes that the archive may have. */
    static final long LIMIT = 45_000_000;

    /** The modules of the JDK that the jars need; the runner of the tests reads jars through zipfs. */
    static final List<String> MODULES = List.of("java.base", "java.logging", "java.management", "java.xml",
            "jdk.incubator.vector", "jdk.jfr", "jdk.management", "jdk.unsupported", "jdk.zipfs");

    private static final String PLATFORM = "linux-x86_64";

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public BundleCommand() {}

    @Override
    public Integer call() throws IOException, InterruptedException {
        PrintWriter out = spec.commandLine().getOut();
        PrintWriter err = spec.commandLine().getErr();
        String home = System.getProperty("isobit.home");
        if (home == null || !Files.isRegularFile(Path.of(home, "pom.xml"))) {
            err.println(
                    "isobit bundle: isobit.home=" + home + " is no checkout of the sources; run ./isobit bundle there");
            return 1;
        }
        if (!"Linux".equals(System.getProperty("os.name")) || !"amd64".equals(System.getProperty("os.arch"))) {
            err.println("isobit bundle: the runtime is that of the machine at hand, which is "
                    + System.getProperty("os.name") + " " + System.getProperty("os.arch") + ", not " + PLATFORM);
            return 1;
        }
        Path root = Path.of(home);
        Path work = root.resolve("target/bundle");
        String name = "isobit-" + Version.current();
        Path image = work.resolve(name);
        Path archive = root.resolve("target/" + name + "-bundle-" + PLATFORM + ".tar.gz");
        delete(work);
        Files.createDirectories(image.resolve("bin"));

        out.println("bundle: building jars and tests");
        out.flush();
        build(root, image);
        out.println("bundle: linking a Java runtime");
        out.flush();
        link(image.resolve("runtime"));
        copyLauncher(image.resolve("bin/isobit"));
        copyResource("THIRD-PARTY.txt", image.resolve("THIRD-PARTY.txt"));
        Files.copy(root.resolve("LICENSE"), image.resolve("LICENSE"));
        Files.copy(root.resolve("README.md"), image.resolve("README.md"));
        out.println("bundle: trying it");
        out.flush();
        tryOut(image.resolve("bin/isobit"));
        out.println("bundle: packing");
        out.flush();
        TarGzip.write(image, name, archive);
        delete(work);

        long size = Files.size(archive);
        out.println(String.format(Locale.ROOT, "%s: %.1f MB", archive, size / 1e6));
        if (size > LIMIT) {
            err.println("isobit bundle: the archive has " + size + " bytes, more than the " + LIMIT + " allowed");
            return 1;
        }
        return 0;
    }

    /** Fills lib with what the command line runs with, test-lib with what the tests need beside it. */
    private static void build(Path root, Path image) throws IOException, InterruptedException {
        Path lib = image.resolve("lib");
        Path testLib = image.resolve("test-lib");
        var maven = new ProcessBuilder("mvn", "-B", "-f", root.resolve("pom.xml").toString(), "-P", "bundle", "-pl",
                "bench", "-am", "-DskipTests", "-Dmaven.javadoc.skip", "-Dmaven.source.skip",
                "-Disobit.lib=" + lib, "-Disobit.test.lib=" + testLib, "package");
        maven.environment().putAll(Map.of("JAVA_HOME", System.getProperty("java.home"), "JAVA25_HOME",
                System.getProperty("java.home")));
        run(maven, root.resolve("target/isobit-bundle.log"));
        String bench = "isobit-bench-" + Version.current() + ".jar";
        Files.copy(root.resolve("bench/target").resolve(bench), lib.resolve(bench));
        String tests = "isobit-harness-" + Version.current() + "-tests.jar";
        Files.copy(root.resolve("java-src/harness/target").resolve(tests), testLib.resolve(tests));
        for (Path jar : list(lib)) {
            Files.deleteIfExists(testLib.resolve(jar.getFileName()));
            if (jar.getFileName().toString().startsWith("jcuda-natives-")) {
                keepDriverBinding(jar);
            }
        }
    }

    /** Of JCuda's native libraries only the driver's binding is used; the PTX compiler alone has 24 MB. */
    private static void keepDriverBinding(Path jar) throws IOException {
        Path small = jar.resolveSibling(jar.getFileName() + ".small");
        int kept = 0;
        try (var in = new ZipFile(jar.toFile()); var out = new ZipOutputStream(Files.newOutputStream(small))) {
            for (ZipEntry entry : Collections.list(in.entries())) {
                boolean library = entry.getName().startsWith("lib/lib");
                if (library && !entry.getName().startsWith("lib/libJCudaDriver-")) {
                    continue;
                }
                kept += library ? 1 : 0;
                var copy = new ZipEntry(entry.getName());
                copy.setTimeLocal(entry.getTimeLocal());
                out.putNextEntry(copy);
                try (InputStream bytes = in.getInputStream(entry)) {
                    bytes.transferTo(out);
                }
                out.closeEntry();
            }
        }
        if (kept != 1) {
            throw new IOException(jar + " holds " + kept + " driver bindings (lib/libJCudaDriver-*), not one");
        }
        Files.move(small, jar, StandardCopyOption.REPLACE_EXISTING);
    }

    private static void link(Path runtime) {
        ToolProvider jlink = ToolProvider.findFirst("jlink").orElseThrow(
                () -> new IllegalStateException("the JDK in " + System.getProperty("java.home") + " has no jlink"));
        int code = jlink.run(System.out, System.err, "--output", runtime.toString(), "--add-modules",
                String.join(",", MODULES), "--strip-java-debug-attributes", "--no-header-files", "--no-man-pages");
        if (code != 0) {
            throw new IllegalStateException("jlink ended with " + code);
        }
    }

    static void copyLauncher(Path launcher) throws IOException {
        copyResource("launcher.sh", launcher);
        if (!launcher.toFile().setExecutable(true, false)) {
            throw new IOException(launcher + " cannot be made executable");
        }
    }

    private static void copyResource(String name, Path to) throws IOException {
        try (var in = BundleCommand.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException(name + " is missing beside " + BundleCommand.class.getName());
            }
            Files.copy(in, to);
        }
    }

    /** Runs the unpacked bundle as its user will: nothing in the environment. */
    private static void tryOut(Path launcher) throws IOException, InterruptedException {
        var version = new ProcessBuilder(launcher.toString(), "--version");
        version.environment().clear();
        version.directory(launcher.getParent().toFile());
        run(version, launcher.resolveSibling("../../try.log").normalize());
    }

    private static void run(ProcessBuilder command, Path log) throws IOException, InterruptedException {
        command.redirectErrorStream(true).redirectOutput(log.toFile());
        command.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
        int code = command.start().waitFor();
        if (code != 0) {
            throw new IOException(
                    String.join(" ", command.command()) + " ended with " + code + "\n" + Files.readString(log));
        }
    }

    private static List<Path> list(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.sorted().toList();
        }
    }

    private static void delete(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return;
        }
        List<Path> paths;
        try (Stream<Path> walk = Files.walk(folder)) {
            paths = new ArrayList<>(walk.toList());
        }
        paths.sort(Comparator.reverseOrder());
        for (Path path : paths) {
            Files.delete(path);
        }
    }
}
