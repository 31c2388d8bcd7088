package dev.isobit.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a command leaves behind only while it runs: a folder for temporary files, half-written results, child processes.
 * All of it goes when the workspace is closed, and when the JVM ends early (Ctrl-C). Thread-safe.
 */
public final class Workspace implements AutoCloseable {
    private static volatile boolean ending;

    private final Set<Process> processes = ConcurrentHashMap.newKeySet();
    private final Set<Path> halfWritten = ConcurrentHashMap.newKeySet();
    private final Thread hook = new Thread(this::end, "isobit-workspace");
    private @Nullable Path folder;
    private boolean closed;

    /** Opens an empty workspace. */
    public Workspace() {
        Runtime.getRuntime().addShutdownHook(hook);
    }

    /**
     * A name for a temporary file.
     *
     * @param name the file's name
     * @return a path in the workspace's own folder
     */
    public synchronized Path temporary(String name) {
        requireOpen();
        try {
            if (folder == null) {
                folder = Files.createTempDirectory("isobit-");
            }
            return folder.resolve(name);
        } catch (IOException e) {
            throw new UncheckedIOException("no temporary folder in " + System.getProperty("java.io.tmpdir"), e);
        }
    }

    /**
     * Starts a process that does not outlive the workspace.
     *
     * @param builder what to start
     * @return the process
     */
    public synchronized Process start(ProcessBuilder builder) {
        requireOpen();
        try {
            Process process = builder.start();
            processes.add(process);
            process.onExit().thenAccept(processes::remove);
            return process;
        } catch (IOException e) {
            throw new UncheckedIOException("cannot start " + builder.command().getFirst(), e);
        }
    }

    /**
     * Makes a folder for results, before the work that leads to them.
     *
     * @param results where results will go
     */
    public static void makeFolder(Path results) {
        try {
            Files.createDirectories(results);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot make the folder " + results.toAbsolutePath()
                    + (e instanceof FileAlreadyExistsException ? ": there is such a file" : ": " + e), e);
        }
        if (!Files.isWritable(results)) {
            throw new UncheckedIOException("cannot write to the folder " + results.toAbsolutePath(),
                    new IOException(results.toString()));
        }
    }

    /**
     * Writes a file whole or not at all: beside it, then moved into place. Folders are made.
     *
     * @param file where; an older file is replaced
     * @param content the text, written as UTF-8
     */
    public void write(Path file, String content) {
        Path absolute = file.toAbsolutePath();
        Path beside = absolute.resolveSibling("." + absolute.getFileName() + "." + ProcessHandle.current().pid());
        synchronized (this) {
            requireOpen();
            halfWritten.add(beside);
        }
        try {
            Files.createDirectories(absolute.getParent());
            Files.write(beside, content.getBytes(StandardCharsets.UTF_8));
            try {
                Files.move(beside, absolute, StandardCopyOption.ATOMIC_MOVE);
            } catch (AtomicMoveNotSupportedException e) {
                Files.move(beside, absolute, StandardCopyOption.REPLACE_EXISTING);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + absolute + ": " + e.getMessage(), e);
        } finally {
            delete(beside);
            halfWritten.remove(beside);
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the workspace is closed");
        }
    }

    /**
     * Whether the JVM is being ended from outside: failures that follow from it need not be told.
     *
     * @return true once Ctrl-C has been pressed
     */
    public static boolean isEnding() {
        return ending;
    }

    private void end() {
        ending = true;
        clean();
    }

    private synchronized void clean() {
        closed = true;
        List<Process> running = new ArrayList<>(processes);
        running.forEach(Process::destroyForcibly);
        running.forEach(process -> process.onExit().join());
        halfWritten.forEach(Workspace::delete);
        if (folder != null) {
            try (Stream<Path> content = Files.walk(folder)) {
                content.sorted(Comparator.reverseOrder()).forEach(Workspace::delete);
            } catch (IOException | UncheckedIOException e) {
                // What cannot be deleted stays in the temporary folder.
            }
            folder = null;
        }
    }

    private static void delete(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            // It stays; there is nobody to tell while the JVM ends.
        }
    }

    /** Ends child processes and deletes temporary files. Idempotent. */
    @Override
    public void close() {
        clean();
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The JVM is ending: the hook has run or will find nothing to do.
        }
    }
}
