package dev.isobit.harness;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;

/**
 * A second JVM like this one with other flags: the same {@code java}, class path and flags, then those given. It ends
 * with its parent, however that ends. Used by one thread.
 */
public final class ChildJvm {
    private static final String PROGRESS = "progress ";
    private static final int KILLED = 130;

    /** Flags of this JVM that a child must not have: agents listen on fixed ports, and what a child is to vary. */
    private static final List<String> NOT_INHERITED = List.of("-agentlib:", "-agentpath:", "-javaagent:", "-Xdebug",
            "-Xrunjdwp", "-Xlog", "-XX:StartFlightRecording", "-Dcom.sun.management.", "-Disobit.backend=",
            "-Disobit.cpu.path=", "-Disobit.threads=");

    private final Workspace workspace;
    private final List<String> command;
    private final Map<String, String> environment;

    /**
     * Describes a child; nothing is started.
     *
     * @param workspace ends the child when it is closed
     * @param flags further flags of the JVM
     * @param main the class to run
     * @param arguments its arguments
     */
    public ChildJvm(Workspace workspace, List<String> flags, Class<?> main, List<String> arguments) {
        this(workspace, flags, Map.of(), "", main, arguments);
    }

    /**
     * Describes a child that sees more classes than this JVM; nothing is started.
     *
     * @param workspace ends the child when it is closed
     * @param flags further flags of the JVM
     * @param environment variables that it has beside those of this process, or in their place
     * @param classPath what the class path has beside that of this JVM; may be empty
     * @param main the class to run
     * @param arguments its arguments
     */
    public ChildJvm(Workspace workspace, List<String> flags, Map<String, String> environment, String classPath,
            Class<?> main, List<String> arguments) {
        this.workspace = workspace;
        this.environment = Map.copyOf(environment);
        command = new ArrayList<>();
        command.add(ProcessHandle.current().info().command()
                .orElse(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        for (String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
            if (NOT_INHERITED.stream().noneMatch(flag::startsWith)) {
                command.add(flag);
            }
        }
        command.addAll(flags);
        command.add("-cp");
        String own = System.getProperty("java.class.path");
        command.add(classPath.isEmpty() ? own : own + File.pathSeparator + classPath);
        command.add(main.getName());
        command.addAll(arguments);
    }

    /**
     * Runs it to its end.
     *
     * @param progress told what the child tells through {@link #tellProgress}
     * @throws IsobitChildException if it ends with another code than 0; the message has the last lines of its log
     */
    public void run(LongConsumer progress) {
        Path log = workspace.temporary("child-" + System.nanoTime() + ".log");
        var builder = new ProcessBuilder(command).redirectError(log.toFile());
        builder.environment().putAll(environment);
        Process process = workspace.start(builder);
        try (var output = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = output.readLine(); line != null; line = output.readLine()) {
                if (line.startsWith(PROGRESS)) {
                    progress.accept(Long.parseLong(line.substring(PROGRESS.length())));
                }
            }
            int code = process.waitFor();
            if (code != 0) {
                throw new IsobitChildException("a child JVM ended with code " + code + ": " + String.join(" ", command)
                        + System.lineSeparator() + tail(log));
            }
        } catch (IOException e) {
            throw new UncheckedIOException("reading from a child JVM", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IsobitChildException("interrupted while a child JVM ran");
        } finally {
            process.destroyForcibly();
        }
    }

    private static String tail(Path log) throws IOException {
        List<String> lines = Files.readAllLines(log);
        return String.join(System.lineSeparator(), lines.subList(Math.max(0, lines.size() - 30), lines.size()));
    }

    /** In the child: ends this JVM as soon as its parent is gone, which closes our standard input. */
    public static void endWithParent() {
        var watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // nothing is said to a child
                }
            } catch (IOException e) {
                // as good as closed
            }
            Runtime.getRuntime().halt(KILLED);
        }, "isobit-parent");
        watch.setDaemon(true);
        watch.start();
    }

    /**
     * In the child: tells the parent how far it is.
     *
     * @param done any number that both understand
     */
    public static void tellProgress(long done) {
        System.out.println(PROGRESS + done);
    }

    /** A child JVM failed. */
    public static final class IsobitChildException extends RuntimeException {
        private static final long serialVersionUID = 1;

        IsobitChildException(String message) {
            super(message);
        }
    }
}
