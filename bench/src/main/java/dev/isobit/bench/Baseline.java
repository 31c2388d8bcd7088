package dev.isobit.bench;

import dev.isobit.spi.AdamScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * The C SIMD baseline of {@code native-build/baseline}, built by {@code native-build/build-baseline} when it is first
 * used. Operands are native memory. One caller at a time.
 */
@SuppressWarnings("restricted")
final class Baseline {
    /** How cross-entropy goes through memory, in the order of {@code baseline.h}. */
    enum Variant {
        PASSES, OVERLAPPED, STREAMING
    }

    /** One row of {@code isobit_baseline_tensor}. */
    static final MemoryLayout TENSOR = MemoryLayout.structLayout(ValueLayout.ADDRESS, ValueLayout.ADDRESS,
            ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG);

    private static final Path LIBRARY = NativeBuild.run("build-baseline");
    private static final SymbolLookup SYMBOLS = SymbolLookup.libraryLookup(LIBRARY, Arena.global());

    private static final MethodHandle LANES =
            bind("isobit_baseline_lanes", FunctionDescriptor.of(ValueLayout.JAVA_INT));
    private static final MethodHandle CROSS_ENTROPY = bind("isobit_baseline_cross_entropy",
            FunctionDescriptor.of(ValueLayout.JAVA_FLOAT, ValueLayout.ADDRESS, ValueLayout.ADDRESS,
                    ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
    private static final MethodHandle ADAM_W = bind("isobit_baseline_adamw",
            FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_FLOAT,
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT,
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_INT));
    private static final MethodHandle STREAM = bind("isobit_baseline_stream",
            FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));
    private static final MethodHandle COPY = bind("isobit_baseline_copy", FunctionDescriptor
            .ofVoid(ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT));

    private Baseline() {}

    private static MethodHandle bind(String symbol, FunctionDescriptor type) {
        MemorySegment address = SYMBOLS.find(symbol)
                .orElseThrow(() -> new IllegalStateException("no symbol " + symbol + " in " + LIBRARY));
        return Linker.nativeLinker().downcallHandle(address, type);
    }

    /** What it was compiled to. */
    static String description() {
        try {
            return "C, " + 32 * (int) LANES.invokeExact() + "-bit vectors (" + LIBRARY.getFileName() + ")";
        } catch (Throwable e) {
            throw failed("lanes", e);
        }
    }

    /** Mean loss and gradient; see {@code baseline.h}. */
    static float crossEntropy(MemorySegment logits, MemorySegment targets, MemorySegment rowLoss, MemorySegment grad,
            long rows, long classes, Variant variant, int threads) {
        try {
            return (float) CROSS_ENTROPY.invokeExact(logits, targets, rowLoss, grad, rows, classes, variant.ordinal(),
                    threads);
        } catch (Throwable e) {
            throw failed("cross_entropy", e);
        }
    }

    /** One step of AdamW over a table of {@link #TENSOR}. */
    static void adamW(MemorySegment table, long tensors, AdamScalars s, int threads) {
        try {
            ADAM_W.invokeExact(table, tensors, s.w1, s.w2, s.negStepSize, s.rsqrtBc2, s.eps, s.paramDecay, threads);
        } catch (Throwable e) {
            throw failed("adamw", e);
        }
    }

    /** Adds one to each of {@code count} floats in place. */
    static void stream(MemorySegment x, long count, int threads) {
        try {
            STREAM.invokeExact(x, count, threads);
        } catch (Throwable e) {
            throw failed("stream", e);
        }
    }

    /** Copies {@code count} floats. */
    static void copy(MemorySegment to, MemorySegment from, long count, int threads) {
        try {
            COPY.invokeExact(to, from, count, threads);
        } catch (Throwable e) {
            throw failed("copy", e);
        }
    }

    private static IllegalStateException failed(String function, Throwable e) {
        return new IllegalStateException("isobit_baseline_" + function + " failed", e);
    }
}
