package dev.isobit.bench;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** Builds the optional module {@code bench/peers}, whose jars no other build needs. */
final class PeersBuild {
    private PeersBuild() {}

    /** The class path of the peers, after a build where sources are newer. */
    static String classPath(PrintWriter told) {
        Path home = Path.of(System.getProperty("isobit.home", ""));
        Path module = home.resolve("bench/peers");
        if (!Files.isRegularFile(module.resolve("pom.xml"))) {
            throw new IllegalArgumentException("--peers needs a checkout: " + module + " is not there");
        }
        Path log = home.resolve("target/isobit-peers.log");
        told.println("bench: building bench/peers; the first time Maven downloads some 100 MB (log: " + log + ")");
        told.flush();
        var maven = new ProcessBuilder("mvn", "-B", "-f", home.resolve("pom.xml").toString(), "-P", "peers", "-pl",
                "bench/peers", "-am", "-DskipTests", "-Dmaven.javadoc.skip", "-Dmaven.source.skip", "package");
        maven.environment()
                .putAll(Map.of("JAVA_HOME", System.getProperty("java.home"), "JAVA25_HOME",
                        System.getProperty("java.home")));
        maven.redirectErrorStream(true).redirectOutput(log.toFile())
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
        try {
            int code = maven.start().waitFor();
            if (code != 0) {
                throw new IllegalStateException("the build of bench/peers ended with " + code + ": see " + log);
            }
            return module.resolve("target/classes") + System.getProperty("path.separator")
                    + Files.readString(module.resolve("target/class-path")).strip();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot build bench/peers", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while bench/peers was built", e);
        }
    }
}
