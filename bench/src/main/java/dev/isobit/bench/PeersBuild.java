package dev.isobit.bench;

import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Builds optional modules in {@code bench/peers}, whose jars no other build needs: one for each peer, since the native
 * libraries of two do not go together in one JVM.
 */
final class PeersBuild {
    /** Names of peers, which are those of their modules. */
    static final String ALL = "libtorch,djl,nd4j,tensorflow";
    static final List<String> NAMES = List.of(ALL.split(","));

    private PeersBuild() {}

    /** What a JVM with a peer has in its environment: OpenMP takes its threads from there, and DJL whether it tells home. */
    static Map<String, String> environment(int threads) {
        return Map.of("OMP_NUM_THREADS", String.valueOf(threads), "OPT_OUT_TRACKING", "true");
    }

    /** The class path of each peer, after a build where sources are newer. */
    static Map<String, String> classPaths(List<String> peers, PrintWriter told) {
        Path home = Path.of(System.getProperty("isobit.home", ""));
        Path modules = home.resolve("bench/peers");
        if (!Files.isRegularFile(modules.resolve("pom.xml"))) {
            throw new IllegalArgumentException("--peers needs a checkout: " + modules + " is not there");
        }
        Path log = home.resolve("target/isobit-peers.log");
        told.println("bench: building bench/peers; the first time Maven downloads some 500 MB (log: " + log + ")");
        told.flush();
        var maven = new ProcessBuilder("mvn", "-B", "-f", home.resolve("pom.xml").toString(), "-P", "peers", "-pl",
                peers.stream().map(peer -> "bench/peers/" + peer).collect(Collectors.joining(",")), "-am",
                "-DskipTests", "-Dmaven.javadoc.skip", "-Dmaven.source.skip", "package");
        String java = System.getProperty("java.home");
        maven.environment().putAll(Map.of("JAVA_HOME", java, "JAVA25_HOME", java));
        maven.redirectErrorStream(true).redirectOutput(log.toFile())
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
        try {
            int code = maven.start().waitFor();
            if (code != 0) {
                throw new IllegalStateException("the build of bench/peers ended with " + code + ": see " + log);
            }
            Map<String, String> classPaths = new LinkedHashMap<>();
            for (String peer : peers) {
                Path target = modules.resolve(peer).resolve("target");
                classPaths.put(peer, target.resolve("classes") + File.pathSeparator
                        + Files.readString(target.resolve("class-path")).strip());
            }
            return classPaths;
        } catch (IOException e) {
            throw new UncheckedIOException("cannot build bench/peers", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while bench/peers was built", e);
        }
    }
}
