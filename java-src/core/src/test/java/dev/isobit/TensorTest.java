package dev.isobit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class TensorTest {
    private static void refused(Executable call, String... words) {
        var e = assertThrows(IllegalArgumentException.class, call);
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), () -> "\"" + word + "\" is missing in: " + e.getMessage());
        }
    }

    @Test
    void aView() {
        float[] values = {0, 1, 2, 3, 4, 5, 6, 7};
        Memory memory = HostMemory.of(MemorySegment.ofArray(values));
        Tensor tensor = Tensor.of(DType.F32, memory, 4, 2, 3);
        assertSame(memory, tensor.memory());
        assertEquals(DType.F32, tensor.dtype());
        assertEquals(2, tensor.rank());
        assertEquals(3, tensor.size(1));
        assertEquals(6, tensor.elementCount());
        assertEquals(24, tensor.byteSize());
        assertEquals(4, tensor.byteOffset());
        assertEquals(1, tensor.get(0));
        assertEquals(6, tensor.get(5));
        values[1] = 9;
        assertEquals(9, tensor.get(0));
        assertThrows(IndexOutOfBoundsException.class, () -> tensor.get(6));
        assertThrows(IndexOutOfBoundsException.class, () -> tensor.get(-1));
        assertTrue(tensor.toString().startsWith("F32[2, 3]"), tensor.toString());
    }

    @Test
    void theShapeIsCopied() {
        long[] shape = {2, 3};
        Tensor tensor = Tensor.of(new float[6], shape);
        shape[0] = 5;
        tensor.shape()[1] = 7;
        assertArrayEquals(new long[] {2, 3}, tensor.shape());
    }

    @Test
    void scalarsAndEmptyTensors() {
        Tensor scalar = Tensor.of(new double[] {5});
        assertEquals(0, scalar.rank());
        assertEquals(1, scalar.elementCount());
        assertEquals(5, scalar.get(0));
        Tensor empty = Tensor.of(new long[0], 0, 1L << 60);
        assertEquals(0, empty.elementCount());
        assertEquals(0, empty.byteSize());
        assertFalse(empty.overlaps(empty));
        assertEquals(0, Tensor.of(new long[0], 1L << 60, 1L << 60, 0).elementCount());
    }

    @Test
    void badShapes() {
        refused(() -> Tensor.of(new float[6], 2, -3), "[2, -3]", "negative");
        refused(() -> Tensor.of(new float[6], -2, -3), "[-2, -3]", "negative");
        refused(() -> Tensor.of(new float[6], 7), "[7]", "28 bytes", "24");
        refused(() -> Tensor.of(new float[6], 1L << 40, 1L << 40), "2^63");
        refused(() -> Tensor.of(new float[6], Long.MAX_VALUE), "2^63");
        Memory memory = HostMemory.of(MemorySegment.ofArray(new long[2]));
        refused(() -> Tensor.of(DType.F32, memory, -4, 1), "byte offset -4 is negative");
        refused(() -> Tensor.of(DType.F32, memory, Long.MIN_VALUE, 1), "is negative");
        refused(() -> Tensor.of(DType.F32, memory, 16, 1), "16", "20 bytes");
        refused(() -> Tensor.of(DType.F32, memory, Long.MAX_VALUE - 3, 1), "2^63");
        assertThrows(NullPointerException.class, () -> Tensor.of(null, memory, 0, 1));
        assertThrows(NullPointerException.class, () -> Tensor.of(DType.F32, (Memory) null, 0, 1));
    }

    /** What the address tells: a heap segment only knows the alignment of its array's elements. */
    @Test
    void alignment() {
        MemorySegment segment = Arena.ofAuto().allocate(64, 64);
        for (int skip : new int[] {1, 2, 3, 5}) {
            refused(() -> Tensor.of(DType.F32, HostMemory.of(segment), skip, 1), "aligned", "F32", "4");
            refused(() -> Tensor.of(DType.F32, segment.asSlice(skip), 1), "aligned", "F32", "4");
        }
        refused(() -> Tensor.of(DType.I64, segment.asSlice(4), 1), "aligned", "I64", "8");
        assertEquals(0, Tensor.of(DType.F32, segment.asSlice(4), 1).get(0));
        assertEquals(0, Tensor.of(DType.I64, segment.asSlice(8), 1).get(0));
        Memory floats = HostMemory.of(MemorySegment.ofArray(new float[4]));
        refused(() -> Tensor.of(DType.F32, floats, 2, 1), "aligned");
        assertEquals(0, Tensor.of(DType.F32, HostMemory.of(MemorySegment.ofArray(new byte[9])), 1, 2).get(1));
    }

    @Test
    void overlaps() {
        float[] array = new float[16];
        Memory heap = HostMemory.of(MemorySegment.ofArray(array));
        Memory sameArray = HostMemory.of(MemorySegment.ofArray(array).asSlice(16));
        Memory otherArray = HostMemory.of(MemorySegment.ofArray(new float[16]));
        Memory hidden = HostMemory.of(MemorySegment.ofArray(array).asReadOnly());
        Memory otherHidden = HostMemory.of(MemorySegment.ofArray(new float[16]).asReadOnly());
        Memory nativeMemory = HostMemory.of(Arena.ofAuto().allocate(64, 64));
        Tensor a = Tensor.of(DType.F32, heap, 16, 4);
        check(true, a, Tensor.of(DType.F32, heap, 28, 1));
        check(false, a, Tensor.of(DType.F32, heap, 32, 1));
        check(true, a, Tensor.of(DType.F32, heap, 4, 4));
        check(false, a, Tensor.of(DType.F32, heap, 0, 4));
        check(true, a, Tensor.of(DType.F32, heap, 0, 16));
        check(false, a, Tensor.of(DType.F32, heap, 20, 0));
        check(true, a, Tensor.of(DType.F32, sameArray, 0, 1));
        check(false, a, Tensor.of(DType.F32, sameArray, 16, 1));
        check(false, a, Tensor.of(DType.F32, otherArray, 16, 4));
        check(true, a, Tensor.of(DType.F32, hidden, 16, 1));
        check(false, a, Tensor.of(DType.F32, hidden, 32, 4));
        check(false, a, Tensor.of(DType.F32, otherHidden, 16, 4));
        check(false, Tensor.of(DType.F32, hidden, 0, 4), Tensor.of(DType.F32, otherHidden, 0, 4));
        check(true, Tensor.of(DType.F32, hidden, 0, 4), Tensor.of(DType.F32, hidden, 8, 4));
        check(false, a, Tensor.of(DType.F32, nativeMemory, 16, 4));
        check(false, Tensor.of(DType.F32, hidden, 0, 4), Tensor.of(DType.F32, nativeMemory, 0, 4));
        check(true, Tensor.of(DType.F32, nativeMemory, 0, 4), Tensor.of(DType.F32, nativeMemory, 12, 4));
        Tensor ofDevice0 = Tensor.of(DType.F32, new Fake("cuda", 0), 0, 4);
        check(true, ofDevice0, Tensor.of(DType.F32, new Fake("cuda", 0), 12, 1));
        check(false, ofDevice0, Tensor.of(DType.F32, new Fake("cuda", 0), 16, 1));
        check(false, ofDevice0, Tensor.of(DType.F32, new Fake("cuda", 1), 0, 4));
        check(false, ofDevice0, Tensor.of(DType.F32, new Fake("other", 0), 0, 4));
        check(false, ofDevice0, Tensor.of(DType.F32, nativeMemory, 0, 4));
    }

    private static void check(boolean overlaps, Tensor a, Tensor b) {
        assertEquals(overlaps, a.overlaps(b), a + " and " + b);
        assertEquals(overlaps, b.overlaps(a), b + " and " + a);
    }

    private record Fake(String backendName, int deviceOrdinal) implements DeviceMemory {
        @Override
        public long byteSize() {
            return 64;
        }

        @Override
        public boolean isAlive() {
            return true;
        }

        @Override
        public long address() {
            return 4096;
        }

        @Override
        public void close() {
            // nothing there
        }
    }

    @Test
    void aDeviceTensorHasNoSegment() {
        Tensor tensor = Tensor.of(DType.F32, new Fake("cuda", 0), 0, 4);
        var e = assertThrows(IllegalStateException.class, tensor::segment);
        assertTrue(e.getMessage().contains("device"), e.getMessage());
        assertThrows(IllegalStateException.class, () -> tensor.get(0));
    }
}
