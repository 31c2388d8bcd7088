package dev.isobit.safetensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;

/** A file that is written is complete or not there, and nothing else is left. */
class AtomicWriteTest {
    private static final int WRITERS = 4;
    private static final List<String> FILES = IntStream.rangeClosed(1, WRITERS)
            .mapToObj(i -> "state-" + (WRITERS - i) + ".safetensors").toList();

    @TempDir(factory = InMemory.class)
    private Path folder;

    /** In memory where there is a folder for it: a kill does not ask what the disk has, and forcing it takes its time. */
    static final class InMemory implements TempDirFactory {
        @Override
        public Path createTempDirectory(AnnotatedElementContext element, ExtensionContext context) throws IOException {
            Path memory = Path.of("/dev/shm");
            return Files.isWritable(memory)
                    ? Files.createTempDirectory(memory, "isobit")
                    : Files.createTempDirectory("isobit");
        }
    }

    @Test
    void aFailureLeavesTheFileBefore() throws IOException {
        Path file = folder.resolve("state.safetensors");
        WriteForever.write(file, 1);
        byte[] before = Files.readAllBytes(file);
        Arena arena = Arena.ofConfined();
        MemorySegment gone = arena.allocate(8);
        var tensors = List.of(new StoredTensor("there", StoredType.F64, new long[1 << 4], MemorySegment.NULL),
                new StoredTensor("gone", StoredType.I64, new long[] {1}, gone));
        arena.close();
        assertThrows(IllegalStateException.class, () -> SafetensorsFile.write(file, Map.of(), tensors));
        assertArrayEquals(before, Files.readAllBytes(file));
        assertEquals(List.of("state.safetensors"), List.of(folder.toFile().list()));
    }

    @Test
    void writersOfOneFileDoNotMeet() throws Exception {
        Path file = folder.resolve("state.safetensors");
        var threads = new Thread[4];
        var failures = new Throwable[threads.length];
        for (int t = 0; t < threads.length; t++) {
            int number = t;
            threads[t] = Thread.ofPlatform().uncaughtExceptionHandler((thread, e) -> failures[number] = e)
                    .start(() -> {
                        for (int i = 0; i < 10; i++) {
                            WriteForever.write(file, number);
                        }
                    });
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertArrayEquals(new Throwable[threads.length], failures);
        WriteForever.read(file);
        assertEquals(List.of("state.safetensors"), List.of(folder.toFile().list()));
    }

    /** None takes another's file for that of a writer which was killed, not even before its lock. */
    @Test
    void writersInOtherProcessesDoNotMeet() throws Exception {
        Path file = folder.resolve("state.safetensors");
        List<Process> children = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            children.add(start(WriteOften.class, file.toString(), "1000"));
        }
        for (Process child : children) {
            assertEquals("0 of 1000 failed: ", new String(child.getInputStream().readAllBytes(),
                    StandardCharsets.UTF_8).strip() + " ");
            assertEquals(0, child.waitFor());
        }
        assertEquals(List.of("state.safetensors"), List.of(folder.toFile().list()));
        try (var saved = SafetensorsFile.open(file)) {
            assertEquals(Set.of("x"), saved.names());
        }
    }

    /** Main class of a child JVM: writes a small file many times. */
    static final class WriteOften {
        private WriteOften() {}

        public static void main(String[] args) {
            int writes = Integer.parseInt(args[1]);
            int failed = 0;
            String last = "";
            for (int i = 0; i < writes; i++) {
                try {
                    SafetensorsFile.write(Path.of(args[0]), Map.of(), List.of(new StoredTensor("x", StoredType.U8,
                            new long[] {1}, MemorySegment.ofArray(new byte[1]))));
                } catch (UncheckedIOException e) {
                    failed++;
                    last = e.getMessage();
                }
            }
            System.out.println(failed + " of " + writes + " failed: " + last);
        }
    }

    /** Ctrl-C, as a JVM sees it: its hooks run. */
    @Test
    void anEndFromOutsideLeavesNothing() throws Exception {
        for (int trial = 0; trial < 3; trial++) {
            end(start(), ProcessHandle::destroy);
            assertEquals(FILES, List.of(sorted()));
        }
    }

    /**
     * Killed at random moments, with four writers at work each time: the file before or the new one is there, whole. Some
     * of the kills have to come in the midst of a write, or they prove nothing; what those leave is gone after the next
     * write.
     */
    @Test
    void aKillLeavesTheOldFileOrTheNew() throws Exception {
        int kills = Integer.getInteger("isobit.kills", 200);
        var random = new Random(20251122);
        int inTheMidst = 0;
        for (int kill = 0; kill < kills; kill++) {
            Process child = start();
            end(child, process -> {
                LockSupport.parkNanos(random.nextInt(5_000_000));
                process.destroyForcibly();
            });
            int left = sorted().length - WRITERS;
            assertTrue(left >= 0 && left <= WRITERS, Arrays.toString(sorted()));
            inTheMidst += left;
        }
        assertTrue(inTheMidst >= kills / 4, "only " + inTheMidst + " writers were killed in the midst of a write");
        FILES.forEach(file -> WriteForever.write(folder.resolve(file), 1));
        assertEquals(FILES, List.of(sorted()));
    }

    /** Ends a child once its writers are at work, and looks at what is there. */
    private void end(Process child, Consumer<ProcessHandle> how) throws Exception {
        long[] last = new long[WRITERS];
        Arrays.fill(last, -1);
        try (BufferedReader said = child.inputReader()) {
            for (int line = 0; line < 2 * WRITERS; line++) {
                note(String.valueOf(said.readLine()), last);
            }
            how.accept(child.toHandle());
            said.lines().forEach(line -> note(line, last));
        }
        assertTrue(child.waitFor(30, TimeUnit.SECONDS));
        for (int i = 0; i < WRITERS; i++) {
            long found = WriteForever.read(folder.resolve(FILES.get(i)));
            assertTrue(found == last[i] || found == last[i] + 1, last[i] + " was done, " + found + " is there");
        }
    }

    /** A line cut short by a kill has no end: it is none. */
    private static void note(String line, long[] last) {
        if (line.endsWith(";")) {
            String[] said = line.substring(0, line.length() - 1).split(" ");
            last[Integer.parseInt(said[0])] = Long.parseLong(said[1]);
        }
    }

    private String[] sorted() {
        String[] names = folder.toFile().list();
        Arrays.sort(names, Comparator.reverseOrder()); // what starts with a dot comes last
        return names;
    }

    /** To be ended through its handle: that leaves open what it has said. */
    private Process start() throws IOException {
        return start(WriteForever.class, folder.toString());
    }

    private static Process start(Class<?> main, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xshare:auto",
                "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m", "-cp", System.getProperty("java.class.path"),
                main.getName()));
        command.addAll(List.of(arguments));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    }

    /** Main class of a child JVM: each writer writes states with rising numbers, and says each that is there. */
    static final class WriteForever {
        private static final int ELEMENTS = 100_000;

        private WriteForever() {}

        public static void main(String[] args) {
            long[] first = new long[WRITERS];
            for (int i = 0; i < WRITERS; i++) {
                Path file = Path.of(args[0], FILES.get(i));
                first[i] = Files.exists(file) ? read(file) + 1 : 0;
                say(i, file, first[i]);
            }
            for (int i = 0; i < WRITERS; i++) {
                int writer = i;
                Thread.ofPlatform().start(() -> {
                    for (long number = first[writer] + 1;; number++) {
                        say(writer, Path.of(args[0], FILES.get(writer)), number);
                    }
                });
            }
        }

        private static void say(int writer, Path file, long number) {
            write(file, number);
            System.out.println(writer + " " + number + ";");
        }

        static void write(Path file, long number) {
            long[] values = new long[ELEMENTS];
            Arrays.fill(values, number);
            SafetensorsFile.write(file, Map.of("number", Long.toString(number)), List.of(
                    new StoredTensor("param", StoredType.I64, new long[] {ELEMENTS}, MemorySegment.ofArray(values)),
                    new StoredTensor("step", StoredType.I64, new long[0],
                            MemorySegment.ofArray(new long[] {number}))));
        }

        /** The number of a state, all of whose elements have it. */
        static long read(Path file) {
            try (var saved = SafetensorsFile.open(file)) {
                long number = Long.parseLong(saved.metadata().get("number"));
                for (String name : saved.names()) {
                    for (long value : saved.tensor(name).bytes().toArray(ValueLayout.JAVA_LONG)) {
                        if (value != number) {
                            fail(name + " holds " + value + " in state " + number);
                        }
                    }
                }
                return number;
            }
        }
    }
}
