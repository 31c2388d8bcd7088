package dev.isobit.cpu;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Memory of which only those pages take room that somebody writes: more of it than a machine has. For Linux. */
final class Holes {
    /** PROT_READ | PROT_WRITE. */
    private static final int READ_WRITE = 3;
    /** MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE. */
    private static final int UNRESERVED = 0x4022;
    /** MAP_SHARED | MAP_FIXED. */
    private static final int SHARED_AT = 0x11;
    /** What a file system without holes would take for a file. */
    private static final long TRIED = 1L << 28;
    private static final MethodHandle MMAP = function("mmap", FunctionDescriptor.of(ValueLayout.ADDRESS,
            ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG));
    private static final MethodHandle MUNMAP = function("munmap",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
    private static final MethodHandle MEMFD_CREATE = function("memfd_create",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT));
    private static final MethodHandle FTRUNCATE = function("ftruncate",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG));
    private static final MethodHandle CLOSE = function("close",
            FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));

    private Holes() {}

    /** A file's; skips the test where files have no holes. */
    static MemorySegment ofFile(Path folder, long bytes, Arena arena) throws IOException {
        requireHoles(folder);
        Path file = Files.createTempFile(folder, "holes", "");
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
        } finally {
            Files.delete(file);
        }
    }

    private static void requireHoles(Path folder) throws IOException {
        Path file = folder.resolve("tried");
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE,
                StandardOpenOption.SPARSE, StandardOpenOption.DELETE_ON_CLOSE)) {
            long before = Files.getFileStore(folder).getUsableSpace();
            assumeTrue(before >= TRIED, () -> folder + " has no room to see whether its files have holes");
            channel.write(ByteBuffer.allocate(1), TRIED);
            channel.force(true);
            long taken = before - Files.getFileStore(folder).getUsableSpace();
            assumeTrue(taken < TRIED / 2, () -> "the file system of " + folder + " has no files with holes");
        }
    }

    /** Memory that reads as zero, released with the arena; skips the test where there is none of that size. */
    static MemorySegment ofMemory(long bytes, Arena arena) {
        return reserve(bytes, arena);
    }

    /** Memory that is one tile over and over, the last one cut off: what is written there stands in all of them. */
    static MemorySegment ofTiles(long bytes, long tile, Arena arena) {
        MemorySegment reserved = reserve(bytes, arena);
        int file = call(MEMFD_CREATE, arena.allocateFrom("tile"), 0);
        assumeTrue(file >= 0, "there are no files in memory");
        try {
            assumeTrue(call(FTRUNCATE, file, tile) == 0, () -> "there are no " + tile + " bytes");
            for (long at = 0; at < bytes; at += tile) {
                map(reserved.asSlice(at), Math.min(tile, bytes - at), SHARED_AT, file);
            }
        } finally {
            call(CLOSE, file);
        }
        return reserved;
    }

    @SuppressWarnings("restricted")
    private static MemorySegment reserve(long bytes, Arena arena) {
        return map(MemorySegment.NULL, bytes, UNRESERVED, -1).reinterpret(bytes, arena,
                segment -> call(MUNMAP, segment, bytes));
    }

    private static MemorySegment map(MemorySegment at, long bytes, int flags, int file) {
        try {
            var mapped = (MemorySegment) MMAP.invokeExact(at, bytes, READ_WRITE, flags, file, 0L);
            assumeTrue(mapped.address() != -1, () -> "there are no " + bytes + " bytes of address space");
            return mapped;
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static int call(MethodHandle function, Object... arguments) {
        try {
            return (int) function.invokeWithArguments(arguments);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    @SuppressWarnings("restricted")
    private static MethodHandle function(String name, FunctionDescriptor type) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().find(name).orElseThrow(), type);
    }
}
