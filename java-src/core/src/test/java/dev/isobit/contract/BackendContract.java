package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.DeviceMemory;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.function.Executable;

/** What all contracts of a backend share: the backend, room for operands, operands that must be refused. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class BackendContract {
    private @Nullable Backend backend;
    private @Nullable OperandBlock block;

    /** For subclasses. */
    protected BackendContract() {}

    /**
     * Opens the backend under test, when it is first needed; it is closed after the tests.
     *
     * @return an open backend
     */
    protected abstract Backend open();

    @AfterAll
    void closeBackend() {
        if (block != null) {
            block.close();
            block = null;
        }
        if (backend != null) {
            backend.close();
            backend = null;
        }
    }

    /**
     * The backend under test.
     *
     * @return an open backend
     */
    protected Backend backend() {
        if (backend == null) {
            backend = open();
        }
        return backend;
    }

    /** Room for operands, reused. */
    OperandBlock block() {
        if (block == null) {
            block = new OperandBlock(backend());
        }
        return block;
    }

    /** A tensor whose memory is closed. */
    Tensor closed(DType dtype, long... shape) {
        if (!backend().usesHostMemory()) {
            Tensor tensor = backend().allocate(dtype, shape);
            tensor.memory().close();
            return tensor;
        }
        try (Arena arena = Arena.ofConfined()) {
            return Tensor.of(dtype, arena.allocate(1 << 12, 64), shape);
        }
    }

    /** A tensor in memory that this backend has nothing to do with. */
    Tensor foreign(DType dtype, long... shape) {
        return backend().usesHostMemory()
                ? Tensor.of(dtype, new ElsewhereMemory(), 0, shape)
                : Tensor.of(dtype, MemorySegment.ofArray(new long[1 << 9]), shape);
    }

    /** Memory of a device that nobody has. */
    private record ElsewhereMemory() implements DeviceMemory {
        @Override
        public String backendName() {
            return "elsewhere";
        }

        @Override
        public int deviceOrdinal() {
            return 7;
        }

        @Override
        public long byteSize() {
            return 1 << 12;
        }

        @Override
        public boolean isAlive() {
            return true;
        }

        @Override
        public long address() {
            return 1 << 20;
        }

        @Override
        public void close() {
            // nothing there
        }
    }

    /**
     * Expects an exception whose message has all the words, and that nothing in the block was written.
     *
     * @return the exception
     */
    <T extends Throwable> T refused(Class<T> type, Executable call, String... words) {
        block().upload();
        T thrown = assertThrows(type, call, () -> "expected words: " + String.join(", ", words));
        for (String word : words) {
            assertTrue(thrown.getMessage() != null && thrown.getMessage().contains(word),
                    () -> "\"" + word + "\" is missing in: " + thrown.getMessage());
        }
        block().download();
        block().assertUntouchedBut(thrown.getMessage());
        return thrown;
    }

    /** A view of a block's memory that starts some bytes after another tensor. */
    static Tensor shifted(Tensor tensor, DType dtype, long bytes, long... shape) {
        Memory memory = tensor.memory();
        return Tensor.of(dtype, memory, tensor.byteOffset() + bytes, shape);
    }
}
