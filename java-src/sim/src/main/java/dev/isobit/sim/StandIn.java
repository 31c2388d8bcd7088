package dev.isobit.sim;

import dev.isobit.IsobitException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * The native side: a {@code libcuda.so.1} whose functions jump through pointers (native-build/driver/simulator.c), and
 * native memory by address. The one class that calls restricted methods. Once loaded, the library stays until the JVM
 * ends.
 */
@SuppressWarnings("restricted")
final class StandIn {
    static final String SONAME = "libcuda.so.1";
    private static final String SLOT = "slot_";

    private final Path file;
    private final SymbolLookup symbols;

    private StandIn(Path file, SymbolLookup symbols) {
        this.file = file;
        this.symbols = symbols;
    }

    /**
     * Loads the library from a folder that nobody else can write to.
     *
     * @throws IsobitException if it cannot be loaded
     */
    static StandIn load() {
        try (InputStream in = StandIn.class.getResourceAsStream(SONAME)) {
            if (in == null) {
                throw new IsobitException("backend sim: " + SONAME + " is missing beside " + StandIn.class.getName());
            }
            Path folder = Files.createTempDirectory("isobit-sim-",
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            Path file = folder.resolve(SONAME);
            Files.write(file, in.readAllBytes(), StandardOpenOption.CREATE_NEW);
            return new StandIn(file, SymbolLookup.libraryLookup(file, Arena.global()));
        } catch (IOException | IllegalArgumentException e) {
            throw new IsobitException("backend sim: " + SONAME + " could not be loaded: " + e, e);
        }
    }

    /** Where the library was loaded from; as long as {@link #removeFile} was not called, its file is there. */
    Path file() {
        return file;
    }

    /** Removes the file: a library that is loaded needs none. */
    void removeFile() {
        try {
            Files.deleteIfExists(file);
            Files.deleteIfExists(file.getParent());
        } catch (IOException e) {
            // Once more when the JVM ends: folder last, since these go in reverse order.
            file.getParent().toFile().deleteOnExit();
            file.toFile().deleteOnExit();
        }
    }

    /** Lets a function of the library run this; it must not throw, for what is thrown in an upcall ends the JVM. */
    void bind(String function, MethodHandle target) {
        MethodType type = target.type();
        MemoryLayout[] arguments = type.parameterList().stream().map(StandIn::layout).toArray(MemoryLayout[]::new);
        MemorySegment code = Linker.nativeLinker().upcallStub(target,
                FunctionDescriptor.of(layout(type.returnType()), arguments), Arena.global());
        symbols.find(SLOT + function).orElseThrow(() -> new IsobitException(SONAME + " has no function " + function))
                .reinterpret(ValueLayout.ADDRESS.byteSize()).set(ValueLayout.ADDRESS, 0, code);
    }

    private static MemoryLayout layout(Class<?> type) {
        if (type == int.class) {
            return ValueLayout.JAVA_INT;
        }
        if (type == long.class) {
            return ValueLayout.JAVA_LONG;
        }
        if (type == byte.class) {
            return ValueLayout.JAVA_BYTE;
        }
        if (type == short.class) {
            return ValueLayout.JAVA_SHORT;
        }
        throw new IllegalArgumentException("no native type for " + type);
    }

    // ---- native memory

    /** Native memory by address. The caller vouches for it. */
    static MemorySegment at(long address, long bytes) {
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /** Where a function writes a result to. */
    static MemorySegment out(long address, ValueLayout layout) {
        DriverError.unless(address != 0, Result.INVALID_VALUE);
        return at(address, layout.byteSize());
    }

    static void putInt(long address, int value) {
        out(address, ValueLayout.JAVA_INT).set(ValueLayout.JAVA_INT_UNALIGNED, 0, value);
    }

    static void putLong(long address, long value) {
        out(address, ValueLayout.JAVA_LONG).set(ValueLayout.JAVA_LONG_UNALIGNED, 0, value);
    }

    static void putFloat(long address, float value) {
        out(address, ValueLayout.JAVA_FLOAT).set(ValueLayout.JAVA_FLOAT_UNALIGNED, 0, value);
    }

    static int getInt(long address) {
        return out(address, ValueLayout.JAVA_INT).get(ValueLayout.JAVA_INT_UNALIGNED, 0);
    }

    static long getLong(long address) {
        return out(address, ValueLayout.JAVA_LONG).get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
    }

    /** A text that ends with a zero byte. */
    static String getText(long address) {
        DriverError.unless(address != 0, Result.INVALID_VALUE);
        return at(address, Long.MAX_VALUE).getString(0);
    }

    /** The bytes of a text before its zero byte. It is read in aligned words, none of which lies on two pages. */
    static MemorySegment text(long address) {
        DriverError.unless(address != 0, Result.INVALID_VALUE);
        MemorySegment bytes = at(address, Long.MAX_VALUE - address);
        long i = 0;
        while ((address + i) % Long.BYTES != 0 && bytes.get(ValueLayout.JAVA_BYTE, i) != 0) {
            i++;
        }
        while ((address + i) % Long.BYTES == 0 && !hasZeroByte(bytes.get(ValueLayout.JAVA_LONG, i))) {
            i += Long.BYTES;
        }
        while (bytes.get(ValueLayout.JAVA_BYTE, i) != 0) {
            i++;
        }
        return bytes.asSlice(0, i);
    }

    private static boolean hasZeroByte(long word) {
        return (word - 0x0101010101010101L & ~word & 0x8080808080808080L) != 0;
    }

    /** Writes as much of a text as there is room for, and a zero byte. */
    static void putText(long address, long room, String text) {
        byte[] bytes = text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
        if (address != 0 && room > 0) {
            int length = (int) Math.min(bytes.length, room - 1);
            MemorySegment to = at(address, room);
            MemorySegment.copy(MemorySegment.ofArray(bytes), 0, to, 0, length);
            to.set(ValueLayout.JAVA_BYTE, length, (byte) 0);
        }
    }
}
