package dev.isobit.bench;

import dev.isobit.DType;
import dev.isobit.spi.AdamScalars;
import dev.isobit.spi.SgdScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;

/**
 * The C SIMD baseline of {@code native-build/baseline}, built by {@code native-build/build-baseline} when it is first
 * used. Operands are native memory. One caller at a time.
 */
@SuppressWarnings("restricted")
final class Baseline {
    /** How cross-entropy goes through memory, in the order of {@code baseline.h}. */
    enum Variant {
        PASSES, OVERLAPPED, STREAMING, GROUPS;

        /** Those that may be the fastest. */
        static List<Variant> of(long classes) {
            return classes <= MOST_TOGETHER
                    ? List.of(GROUPS)
                    : classes <= MOST_GROUPED
                            ? List.of(PASSES, OVERLAPPED, GROUPS)
                            : List.of(PASSES, OVERLAPPED, STREAMING);
        }
    }

    /** How an element-wise loss or an optimizer goes through memory. */
    enum Way {
        PLAIN,
        /** Of a loss: gradients past the caches. Of AdamW: a loop for each tensor that it writes. */
        OTHER
    }

    /** Classes whose rows are worked on together, as they lie, and those of a group of rows. */
    private static final long MOST_TOGETHER = 64;
    private static final long MOST_GROUPED = 1024;

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
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
    private static final MethodHandle BCE = bind("isobit_baseline_bce",
            FunctionDescriptor.of(ValueLayout.JAVA_FLOAT, ValueLayout.ADDRESS, ValueLayout.ADDRESS,
                    ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_LONG, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT));
    private static final MethodHandle ADAM_W = bind("isobit_baseline_adamw",
            FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_FLOAT,
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT,
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
                    ValueLayout.JAVA_INT));
    private static final MethodHandle ADAM_W_CLIPPED = bind("isobit_baseline_adamw_clipped",
            FunctionDescriptor.of(ValueLayout.JAVA_DOUBLE, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG,
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT,
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT,
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT));
    private static final MethodHandle SGD = bind("isobit_baseline_sgd",
            FunctionDescriptor.ofVoid(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_FLOAT,
                    ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_FLOAT, ValueLayout.JAVA_INT));
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

    private static int code(DType dtype) {
        return switch (dtype) {
            case F32 -> 0;
            case BF16 -> 1;
            case F16 -> 2;
            default -> throw new IllegalArgumentException("the C baseline has no " + dtype);
        };
    }

    /** Mean loss, and the gradient times {@code upstream}; see {@code baseline.h}. */
    static float crossEntropy(MemorySegment logits, MemorySegment targets, MemorySegment rowLoss, MemorySegment grad,
            long rows, long classes, float upstream, DType dtype, Variant variant, int threads) {
        try {
            return (float) CROSS_ENTROPY.invokeExact(logits, targets, rowLoss, grad, rows, classes, upstream,
                    code(dtype), variant.ordinal(), threads);
        } catch (Throwable e) {
            throw failed("cross_entropy", e);
        }
    }

    /**
     * The losses' sum times {@code upstream}, and as much of the gradient; see {@code baseline.h}.
     *
     * @param posWeight one for each label; {@link MemorySegment#NULL} for none
     * @param loss of each element; {@link MemorySegment#NULL} if it is not wanted
     */
    static float bce(MemorySegment logits, MemorySegment targets, MemorySegment posWeight, MemorySegment loss,
            MemorySegment grad, long elements, long labels, float upstream, DType dtype, Way way, int threads) {
        try {
            return (float) BCE.invokeExact(logits, targets, posWeight, loss, grad, elements, labels, upstream,
                    code(dtype), way.ordinal(), threads);
        } catch (Throwable e) {
            throw failed("bce", e);
        }
    }

    /**
     * One step of AdamW over a table of {@link #TENSOR}.
     *
     * @param dtype of parameters and gradients
     * @param moments of moments: F32, or BF16 where all is
     */
    static void adamW(MemorySegment table, long tensors, AdamScalars s, DType dtype, DType moments, Way way,
            int threads) {
        try {
            ADAM_W.invokeExact(table, tensors, s.w1, s.w2, s.negStepSize, s.rsqrtBc2, s.eps, s.paramDecay,
                    code(dtype), code(moments), way.ordinal(), threads);
        } catch (Throwable e) {
            throw failed("adamw", e);
        }
    }

    /**
     * The same, all F32, of gradients of a loss times {@code gradScale}, after they were checked and clipped.
     *
     * @return their norm before clipping; not finite if nothing was done
     */
    static double adamWClipped(MemorySegment table, long tensors, AdamScalars s, float gradScale, float maxNorm,
            Way way,
            int threads) {
        try {
            return (double) ADAM_W_CLIPPED.invokeExact(table, tensors, s.w1, s.w2, s.negStepSize, s.rsqrtBc2, s.eps,
                    s.paramDecay, gradScale, maxNorm, way.ordinal(), threads);
        } catch (Throwable e) {
            throw failed("adamw_clipped", e);
        }
    }

    /** One step of SGD with momentum, not the first, over a table of {@link #TENSOR} whose third column is the momentum buffer. */
    static void sgd(MemorySegment table, long tensors, SgdScalars s, int threads) {
        try {
            SGD.invokeExact(table, tensors, s.negLr, s.momentum, s.gradShare, s.weightDecay, threads);
        } catch (Throwable e) {
            throw failed("sgd", e);
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
