package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The library as another program would call it: functions by name, an int, a long or a byte for each argument. */
@SuppressWarnings("restricted")
final class Driver implements AutoCloseable {
    /** One thread per element: out[i] = in[i] + 1, for 8 elements. */
    static final String ADD_ONE = """
            .version 7.0
            .target sm_75
            .address_size 64
            .visible .entry add_one(.param .u64 to, .param .u64 from)
            {
                .reg .b32 %r<4>;
                .reg .b64 %rd<5>;
                ld.param.u64 %rd1, [to];
                ld.param.u64 %rd2, [from];
                mov.u32 %r1, %tid.x;
                mul.wide.u32 %rd3, %r1, 4;
                add.s64 %rd1, %rd1, %rd3;
                add.s64 %rd2, %rd2, %rd3;
                ld.global.u32 %r2, [%rd2];
                add.s32 %r3, %r2, 1;
                st.global.u32 [%rd1], %r3;
                ret;
            }
            """;

    private final SymbolLookup symbols = SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
    private final Arena arena = Arena.ofShared();

    /** Retains the context of device 0 and makes it current. */
    Driver() {
        SimSession.driver();
        check("cuInit", 0);
        check("cuCtxSetCurrent", out("cuDevicePrimaryCtxRetain", 0));
    }

    static boolean exists(String symbol) {
        return SymbolLookup.libraryLookup("libcuda.so.1", Arena.global()).find(symbol).isPresent();
    }

    int call(String function, Object... arguments) {
        MemoryLayout[] layouts = Arrays.stream(arguments).map(argument -> argument instanceof Integer
                ? ValueLayout.JAVA_INT
                : argument instanceof Byte ? ValueLayout.JAVA_BYTE : ValueLayout.JAVA_LONG)
                .toArray(MemoryLayout[]::new);
        try {
            return (int) Linker.nativeLinker().downcallHandle(symbols.findOrThrow(function),
                    FunctionDescriptor.of(ValueLayout.JAVA_INT, layouts)).invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new IllegalStateException(function, e);
        }
    }

    void check(String function, Object... arguments) {
        assertEquals(0, call(function, arguments), function);
    }

    /** A function whose first argument is where it writes a 64-bit value. */
    long out(String function, Object... arguments) {
        MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
        Object[] all = new Object[arguments.length + 1];
        all[0] = out.address();
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        check(function, all);
        return out.get(ValueLayout.JAVA_LONG, 0);
    }

    MemorySegment host(int... values) {
        return arena.allocateFrom(ValueLayout.JAVA_INT, values);
    }

    MemorySegment longs(long... values) {
        return arena.allocateFrom(ValueLayout.JAVA_LONG, values);
    }

    MemorySegment pinned(long bytes) {
        return MemorySegment.ofAddress(out("cuMemHostAlloc", bytes, 0)).reinterpret(bytes);
    }

    long text(String text) {
        return arena.allocateFrom(text, StandardCharsets.UTF_8).address();
    }

    /** A buffer of ints on the device. */
    long device(int... values) {
        long address = out("cuMemAlloc_v2", 4L * values.length);
        check("cuMemcpyHtoD_v2", address, host(values).address(), 4L * values.length);
        return address;
    }

    int[] read(long address, int count) {
        MemorySegment to = arena.allocate(4L * count, 4);
        check("cuMemcpyDtoH_v2", to.address(), address, 4L * count);
        return to.toArray(ValueLayout.JAVA_INT);
    }

    /** Loads the little kernel. */
    long addOne() {
        return out("cuModuleGetFunction", out("cuModuleLoadData", text(ADD_ONE)), text("add_one"));
    }

    int launch(long function, int threads, long stream, long to, long from) {
        MemorySegment values = arena.allocateFrom(ValueLayout.JAVA_LONG, to, from);
        MemorySegment pointers = arena.allocateFrom(ValueLayout.JAVA_LONG, values.address(), values.address() + 8);
        return call("cuLaunchKernel", function, 1, 1, 1, threads, 1, 1, 0, stream, pointers.address(), 0L);
    }

    /** Lets go of the context; what is left in it is told as leaked, and forgotten here. */
    @Override
    public void close() {
        check("cuDevicePrimaryCtxRelease_v2", 0);
        SimSession.driver().clear();
        arena.close();
    }
}
