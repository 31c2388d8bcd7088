package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.harness.ChildJvm.IsobitChildException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class WorkspaceTest {
    @TempDir
    private Path folder;

    @Test
    void closingEndsProcessesAndDeletesFiles() throws Exception {
        Path temporary;
        Process process;
        try (var workspace = new Workspace()) {
            temporary = workspace.temporary("a");
            Files.writeString(temporary, "a");
            process = workspace.start(new ProcessBuilder(java(), "-cp", System.getProperty("java.class.path"),
                    Sleeper.class.getName()));
            assertTrue(process.isAlive());
        }
        assertTrue(process.waitFor(20, TimeUnit.SECONDS));
        assertFalse(Files.exists(temporary));
        assertFalse(Files.exists(temporary.getParent()));
    }

    @Test
    void filesAreWholeOrNotThere() throws IOException {
        Path file = folder.resolve("new/deep/file.txt");
        try (var workspace = new Workspace()) {
            workspace.write(file, "one");
            workspace.write(file, "two");
            assertEquals("two", Files.readString(file));
            Path blocked = folder.resolve("new/deep/file.txt/below");
            assertThrows(UncheckedIOException.class, () -> workspace.write(blocked, "x"));
            Path directory = Files.createDirectories(folder.resolve("full/inner"));
            Files.writeString(directory.resolve("x"), "x");
            assertThrows(UncheckedIOException.class, () -> workspace.write(directory, "x"));
        }
        try (var files = Files.walk(folder)) {
            assertEquals(List.of("file.txt", "x"), files.filter(Files::isRegularFile)
                    .map(f -> f.getFileName().toString()).sorted().toList());
        }
    }

    @Test
    void anUnusableFolderIsNamed() throws IOException {
        Path file = Files.writeString(folder.resolve("f"), "");
        var e = assertThrows(UncheckedIOException.class, () -> Workspace.makeFolder(file));
        assertTrue(e.getMessage().contains(file.toString()) && e.getMessage().contains("there is such a file"),
                e.getMessage());
        // No message of the system's own there: the kind of exception has to say what is wrong.
        var none = assertThrows(UncheckedIOException.class, () -> Workspace.makeFolder(Path.of("/proc/none")));
        assertTrue(none.getMessage().contains("/proc/none") && none.getMessage().contains("Exception"),
                none.getMessage());
    }

    @Test
    void afterCloseNothingStarts() {
        var workspace = new Workspace();
        workspace.close();
        workspace.close();
        assertThrows(IllegalStateException.class, () -> workspace.temporary("a"));
    }

    @Test
    void aChildThatFailsTellsItsLog() {
        try (var workspace = new Workspace()) {
            var child = new ChildJvm(workspace, List.of(), Failing.class, List.of("7"));
            var e = assertThrows(IsobitChildException.class, () -> child.run(done -> assertEquals(5, done)));
            assertTrue(e.getMessage().contains("code 7") && e.getMessage().contains("it went wrong"), e.getMessage());
        }
    }

    @Test
    @Timeout(60)
    void aChildEndsWithItsParent() throws Exception {
        // The parent's end closes the child's standard input; here the stream alone is closed.
        Process process = new ProcessBuilder(java(), "-cp", System.getProperty("java.class.path"),
                Waiting.class.getName()).start();
        process.getOutputStream().close();
        assertEquals(130, process.waitFor());
    }

    private static String java() {
        return Path.of(System.getProperty("java.home"), "bin", "java").toString();
    }

    static final class Sleeper {
        public static void main(String[] args) throws InterruptedException {
            Thread.sleep(60_000);
        }
    }

    static final class Failing {
        public static void main(String[] args) {
            ChildJvm.tellProgress(5);
            System.err.println("it went wrong");
            System.exit(Integer.parseInt(args[0]));
        }
    }

    static final class Waiting {
        public static void main(String[] args) throws InterruptedException {
            ChildJvm.endWithParent();
            Thread.sleep(60_000);
        }
    }
}
