package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.DeviceMemory;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Device memory, pinned memory and copies: on every driver whose memory is real. */
abstract class MemoryContract {
    CudaBackend backend;

    @BeforeEach
    void open() {
        backend = (CudaBackend) Backend.open("cuda");
    }

    @AfterEach
    void close() {
        backend.close();
    }

    private static byte[] random(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    private static Tensor ints(MemorySegment segment) {
        return Tensor.of(DType.I32, segment, segment.byteSize() / 4);
    }

    private static Tensor ints(Memory memory) {
        return Tensor.of(DType.I32, memory, 0, memory.byteSize() / 4);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 4, 100, 1 << 20})
    void allocatedMemoryIsZeroed(long bytes) {
        try (Memory memory = backend.allocate(bytes)) {
            assertEquals(bytes, memory.byteSize());
            assertTrue(memory.isAlive());
            assertTrue(memory.address() != 0);
            byte[] found = random((int) bytes);
            backend.copy(ints(memory), ints(MemorySegment.ofArray(found)));
            assertArrayEquals(new byte[(int) bytes], found);
        }
    }

    /** Around the size of a copy buffer, 4 MiB: below, equal, above, more than two of them. */
    @ParameterizedTest
    @ValueSource(ints = {0, 4, 1000, (4 << 20) - 4, 4 << 20, (4 << 20) + 4, (8 << 20) + 4, (13 << 20) + 12})
    void copiesKeepEveryByte(int size) {
        byte[] bytes = random(size);
        byte[] onHeap = new byte[size];
        try (Arena arena = Arena.ofConfined();
                Memory first = backend.allocate(size);
                Memory second = backend.allocate(size);
                PinnedMemory pinned = backend.allocatePinned(size)) {
            backend.copy(ints(MemorySegment.ofArray(bytes)), ints(first));
            backend.copy(ints(first), ints(second));
            backend.copy(ints(second), ints(MemorySegment.ofArray(onHeap)));
            assertArrayEquals(bytes, onHeap, "device to an array");
            MemorySegment confined = arena.allocate(Math.max(size, 1)).asSlice(0, size);
            backend.copy(ints(second), ints(confined));
            assertArrayEquals(bytes, confined.toArray(ValueLayout.JAVA_BYTE), "device to native memory");
            backend.copy(ints(second), ints(pinned.segment()));
            assertArrayEquals(bytes, pinned.segment().toArray(ValueLayout.JAVA_BYTE), "device to pinned memory");
            backend.copy(Tensor.of(DType.I32, new CudaMemory(backend.driver(), first.address(), 0), 0, 0),
                    Tensor.of(DType.I32, second, 0, 0));
        }
        try (PinnedMemory pinned = backend.allocatePinned(size);
                Arena arena = Arena.ofConfined();
                Memory memory = backend.allocate(size)) {
            MemorySegment.copy(MemorySegment.ofArray(bytes), 0, pinned.segment(), 0, size);
            backend.copy(ints(pinned.segment()), ints(memory));
            MemorySegment back = arena.allocate(Math.max(size, 1)).asSlice(0, size);
            backend.copy(ints(memory), ints(back));
            assertArrayEquals(bytes, back.toArray(ValueLayout.JAVA_BYTE), "pinned memory to the device");
        }
    }

    @Test
    void copiesTouchOnlyWhatIsViewed() {
        int[] values = new Random(1).ints(64).toArray();
        int[] found = new int[64];
        try (Memory memory = backend.allocate(256)) {
            backend.copy(Tensor.of(DType.I32, MemorySegment.ofArray(values).asSlice(12, 40), 10),
                    Tensor.of(DType.I32, memory, 20, 10));
            backend.copy(ints(memory), Tensor.of(found, 64));
        }
        int[] expected = new int[64];
        System.arraycopy(values, 3, expected, 5, 10);
        assertArrayEquals(expected, found);
    }

    @Test
    void hostToHostIsACopyToo() {
        int[] to = new int[3];
        backend.copy(Tensor.of(new int[] {1, 2, 3}, 3), Tensor.of(to, 3));
        assertArrayEquals(new int[] {1, 2, 3}, to);
    }

    @Test
    void pinnedMemoryIsZeroedAndEndsWithItsOwner() {
        PinnedMemory pinned = backend.allocatePinned(100);
        assertEquals(100, pinned.segment().byteSize());
        assertArrayEquals(new byte[100], pinned.segment().toArray(ValueLayout.JAVA_BYTE));
        pinned.close();
        pinned.close();
        assertThrows(IllegalStateException.class, () -> pinned.segment().get(ValueLayout.JAVA_BYTE, 0));
        PinnedMemory left = backend.allocatePinned(8);
        backend.close();
        assertThrows(IllegalStateException.class, () -> left.segment().get(ValueLayout.JAVA_BYTE, 0));
        left.close();
    }

    @Test
    void foreignMemoryIsWrappedAndStaysItsOwners() {
        try (Memory owner = backend.allocate(256)) {
            DeviceMemory wrapped = backend.wrap(owner.address() + 16, 64);
            assertEquals("cuda", wrapped.backendName());
            assertEquals(0, wrapped.deviceOrdinal());
            assertTrue(backend.accepts(wrapped));
            assertTrue(Tensor.of(DType.F32, wrapped, 0, 16).overlaps(Tensor.of(DType.F32, owner, 0, 64)));
            backend.copy(Tensor.of(new int[] {7}, 1), Tensor.of(DType.I32, wrapped, 4, 1));
            wrapped.close();
            wrapped.close();
            assertFalse(wrapped.isAlive());
            int[] found = new int[64];
            backend.copy(ints(owner), Tensor.of(found, 64));
            assertEquals(7, found[5]);
            var e = assertThrows(IllegalStateException.class,
                    () -> backend.copy(ints(wrapped), Tensor.of(new int[16], 16)));
            assertTrue(e.getMessage().startsWith("Backend.copy: the memory of from I32[16]@0x"), e.getMessage());
        }
    }

    @Test
    void pointersThatAreNotDeviceMemoryAreRefused() {
        try (PinnedMemory pinned = backend.allocatePinned(64); Memory memory = backend.allocate(64)) {
            refused(pinned.segment().address(), 8, "is host memory");
            refused(8, 8, "0x8 is no device memory");
            refused(memory.address(), -1, "byteSize = -1");
            refused(memory.address(), Long.MAX_VALUE, "is no range");
            refused(memory.address(), 1L << 46, ", the last of 70368744177664 bytes, is no device memory");
            assertEquals(0, backend.wrap(0, 0).byteSize());
        }
    }

    private void refused(long pointer, long bytes, String reason) {
        var e = assertThrows(IllegalArgumentException.class, () -> backend.wrap(pointer, bytes));
        assertTrue(e.getMessage().startsWith("CudaBackend.wrap: "), e.getMessage());
        assertTrue(e.getMessage().contains(reason), e.getMessage());
    }

    @Test
    void badCopiesAreRefusedAndWriteNothing() throws InterruptedException {
        try (Memory memory = backend.allocate(64); Arena arena = Arena.ofConfined()) {
            Tensor device = Tensor.of(DType.F32, memory, 0, 16);
            assertThrows(IllegalArgumentException.class, () -> backend.copy(Tensor.of(new float[15], 15), device));
            assertThrows(IllegalArgumentException.class, () -> backend.copy(Tensor.of(new int[16], 16), device));
            var e = assertThrows(IllegalArgumentException.class, () -> backend
                    .copy(Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 4, 8)));
            assertTrue(e.getMessage().contains("overlaps"), e.getMessage());
            MemorySegment readOnly = arena.allocate(64, 4).asReadOnly();
            e = assertThrows(IllegalArgumentException.class,
                    () -> backend.copy(device, Tensor.of(DType.F32, readOnly, 16)));
            assertTrue(e.getMessage().contains("is read-only memory"), e.getMessage());
            backend.copy(Tensor.of(DType.F32, readOnly, 16), device);
            backend.copy(device, device);
            Tensor confined = Tensor.of(DType.F32, arena.allocate(64, 4), 16);
            Throwable[] thrown = new Throwable[2];
            Thread other = new Thread(() -> {
                thrown[0] = assertThrows(WrongThreadException.class, () -> backend.copy(confined, device));
                thrown[1] = assertThrows(WrongThreadException.class, () -> backend.copy(device, confined));
            }, "another");
            other.start();
            other.join();
            assertEquals("Backend.copy: from " + confined + " is confined to another thread than another",
                    thrown[0].getMessage());
            assertEquals("Backend.copy: to " + confined + " is confined to another thread than another",
                    thrown[1].getMessage());
        }
        Arena arena = Arena.ofConfined();
        Tensor gone = Tensor.of(DType.F32, arena.allocate(64, 4), 16);
        arena.close();
        assertThrows(IllegalStateException.class, () -> backend.copy(gone, Tensor.of(new float[16], 16)));
    }

    @Test
    void closedMemoryIsRefused() {
        Memory memory = backend.allocate(64);
        memory.close();
        memory.close();
        assertFalse(memory.isAlive());
        assertThrows(IllegalStateException.class, () -> backend.copy(ints(memory), Tensor.of(new int[16], 16)));
        Memory left = backend.allocate(64);
        backend.close();
        assertFalse(left.isAlive());
        left.close();
    }

    @Test
    void sizesAreChecked() {
        assertThrows(IllegalArgumentException.class, () -> backend.allocate(-1));
        assertThrows(IllegalArgumentException.class, () -> backend.allocate(DType.F32, 2, -3));
        assertThrows(IllegalArgumentException.class, () -> backend.allocatePinned(-1));
        assertEquals("F32[2, 3]", backend.allocate(DType.F32, 2, 3).toString().replaceAll("@.*", ""));
    }

    @Test
    void tooMuchMemoryIsATypedErrorAndTheBackendLivesOn() {
        var e = assertThrows(CudaException.class, () -> backend.allocate(1L << 50));
        assertEquals("Backend.allocate", e.operation());
        assertEquals(2, e.result());
        assertFalse(e.contextLost());
        assertTrue(e.getMessage().contains("cuMemAlloc of " + (1L << 50) + " bytes (of "), e.getMessage());
        backend.allocate(64).close();
    }

    @Test
    void aClosedBackendRefusesEverything() {
        CudaStream stream = backend.newStream();
        Memory memory = backend.allocate(64);
        backend.close();
        backend.close();
        assertThrows(IllegalStateException.class, () -> backend.allocate(8));
        assertThrows(IllegalStateException.class, () -> backend.allocatePinned(8));
        assertThrows(IllegalStateException.class, () -> backend.wrap(memory.address(), 8));
        assertThrows(IllegalStateException.class, () -> backend.newStream());
        assertThrows(IllegalStateException.class, () -> backend.newEvent());
        assertThrows(IllegalStateException.class, () -> backend.wrapStream(stream.handle()));
        assertThrows(IllegalStateException.class, stream::synchronize);
        assertThrows(IllegalStateException.class,
                () -> backend.copy(Tensor.of(new int[1], 1), Tensor.of(new int[1], 1)));
        assertThrows(IllegalStateException.class, () -> CrossEntropy.on(backend, CrossEntropyOptions.defaults()));
        stream.close();
    }

    @Test
    void hostMemoryIsNotTakenByOperations() {
        assertFalse(backend.usesHostMemory());
        try (PinnedMemory pinned = backend.allocatePinned(8)) {
            assertFalse(backend.accepts(Tensor.of(DType.F32, pinned.segment(), 2).memory()));
        }
    }
}
