package dev.isobit.bench;

import dev.isobit.Memory;
import dev.isobit.cuda.CudaBackend;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import jcuda.Pointer;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * What the memory of a device gives to a kernel that reads four arrays and writes three of them, as a step of AdamW over F32
 * does: {@code same_mix_stream.ptx}, written by hand, in a grid of the step's shape. JCuda must have been loaded, and the context of the device be current
 * on the thread, as every call of a backend leaves it. Used by one thread.
 */
final class SameMixStream implements AutoCloseable {
    static final String NAME = "same-mix stream";
    static final String ENTRY = "same_mix_stream";
    static final int PACK_BYTES = 16;
    /** Reads and writes of a pack. */
    static final int MOVES = 7;
    static final int THREADS = 256;
    /** As many as AdamW's: 4 for a multiprocessor, and none with less than 8 chunks of 2048 elements to do. */
    private static final int BLOCKS_PER_MULTIPROCESSOR = 4;
    private static final long PACKS_PER_BLOCK = 8 * 2048 * Float.BYTES / PACK_BYTES;

    private final long packs;
    private final int blocks;
    private final CUmodule module = new CUmodule();
    private final CUfunction function = new CUfunction();
    /** The legacy default stream, for which the backend's streams wait, and which waits for them. */
    private final CUstream queue = new CUstream();
    private final ByteBuffer arguments;
    private final Pointer parameters;

    /**
     * Loads the kernel.
     *
     * @param first memory of two arrays, which it overwrites
     * @param second of the other two, as large
     */
    SameMixStream(CudaBackend backend, Memory first, Memory second) {
        packs = first.byteSize() / 2 / PACK_BYTES;
        blocks = (int) Math.clamp(Math.ceilDiv(packs, PACKS_PER_BLOCK), 1L,
                (long) BLOCKS_PER_MULTIPROCESSOR * backend.device().multiprocessors());
        long half = packs * PACK_BYTES;
        arguments = arguments(first.address(), first.address() + half, second.address(), second.address() + half,
                packs);
        parameters = Pointer.to(Pointer.to(arguments));
        byte[] text = text();
        ByteBuffer ended = ByteBuffer.allocateDirect(text.length + 1).put(text);
        check("cuModuleLoadDataEx", JCudaDriver.cuModuleLoadDataEx(module, Pointer.to(ended), 0, new int[0],
                Pointer.to(new int[0])));
        check("cuModuleGetFunction", JCudaDriver.cuModuleGetFunction(function, module, ENTRY));
    }

    /** The kernel's source. */
    static byte[] text() {
        String file = ENTRY + ".ptx";
        try (InputStream in = SameMixStream.class.getResourceAsStream(file)) {
            return Objects.requireNonNull(in, file).readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }

    /** Its argument block: the arrays, of which the second is only read, and how many packs each has. */
    static ByteBuffer arguments(long a, long b, long c, long d, long packs) {
        return ByteBuffer.allocateDirect(5 * Long.BYTES).order(ByteOrder.nativeOrder()).putLong(a).putLong(b).putLong(c)
                .putLong(d).putLong(packs);
    }

    private static void check(String call, int result) {
        if (result != 0) {
            throw new IllegalStateException(NAME + ", " + call + ": " + CUresult.stringFor(result));
        }
    }

    Side side() {
        return new Side(NAME, MOVES * PACK_BYTES * packs, PACK_BYTES / Float.BYTES * packs, this::launch);
    }

    private void launch() {
        check("cuLaunchKernel", JCudaDriver.cuLaunchKernel(function, blocks, 1, 1, THREADS, 1, 1, 0, queue, parameters,
                null));
    }

    @Override
    public void close() {
        check("cuModuleUnload", JCudaDriver.cuModuleUnload(module));
    }
}
