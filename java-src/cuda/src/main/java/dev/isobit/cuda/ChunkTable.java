package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.AccumulateChunk;
import dev.isobit.cuda.KernelParams.GuardPiece;
import dev.isobit.math.RoundingNoise;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of an optimizer, as its kernels find them in a table of chunks.
 *
 * @param groups of each group, its parameters
 */
record ChunkTable(List<List<Parameter>> groups) {
    /**
     * A parameter.
     *
     * @param tensors in the order of the pointers of a chunk; null for none. The second one is what a step takes for the
     *     gradient: the accumulator if there is one
     * @param master of them apart; null for none
     * @param rounding of BF16 without a master; null to nearest
     * @param microGrad the gradient: what is added to an accumulator
     */
    record Parameter(@Nullable Tensor[] tensors, @Nullable Tensor master, @Nullable StochasticRounding rounding,
            Tensor microGrad) {
        /** The parameter itself. */
        Tensor param() {
            return Objects.requireNonNull(tensors[0]);
        }

        /** What a step takes for its gradient. */
        Tensor grad() {
            return Objects.requireNonNull(tensors[1]);
        }

        private boolean isRoundedStochastically() {
            return rounding != null && master == null && param().dtype() == DType.BF16;
        }

        private int dtypes() {
            int dtypes = master == null ? 0 : code(master.dtype()) << DTYPE_BITS * tensors.length;
            for (int i = 0; i < tensors.length; i++) {
                Tensor tensor = tensors[i];
                if (tensor != null) {
                    dtypes |= code(tensor.dtype()) << DTYPE_BITS * i;
                }
            }
            return dtypes | (isRoundedStochastically() ? GuardPiece.STOCHASTIC : 0);
        }
    }

    /** Elements of a chunk: the same for all optimizers. */
    static final int CHUNK = 2048;
    /** Of the type of an array in a chunk. */
    private static final int DTYPE_BITS = 4;

    /** Whether the chunks tell the types of their arrays: else all are float32, what is added to accumulators too. */
    boolean isMixed() {
        return groups.stream().flatMap(List::stream)
                .anyMatch(parameter -> parameter.dtypes() != 0 || parameter.microGrad.dtype() != DType.F32);
    }

    /** The part of an entry's name that says which types it takes. */
    String dtype() {
        return isMixed() ? "mixed" : "f32";
    }

    /** The module of an optimizer's step. */
    String module(String optimizer) {
        return isMixed() ? optimizer + "_mixed" : optimizer;
    }

    /** A type as kernels know it. */
    static int code(DType dtype) {
        return switch (dtype) {
            case F32 -> GuardPiece.F32;
            case BF16 -> GuardPiece.BF16;
            case F16 -> GuardPiece.F16;
            case I16 -> GuardPiece.I16;
            default -> throw new IllegalArgumentException("no kernel takes " + dtype);
        };
    }

    /** How many there are. */
    long chunks() {
        return groups.stream().flatMap(List::stream)
                .mapToLong(parameter -> LaunchTable.ceil(parameter.param().elementCount(), CHUNK)).sum();
    }

    /** The bytes of a chunk; 0 where there is none. */
    long chunkBytes() {
        return groups.stream().flatMap(List::stream).findFirst()
                .map(parameter -> (parameter.tensors.length + (isMixed() ? 4L : 1L)) * Long.BYTES).orElse(0L);
    }

    /** Writes the table. Each tensor is cut at multiples of the chunk size, so that its chunks keep its alignment. */
    void fill(MemorySegment table) {
        boolean mixed = isMixed();
        long at = 0;
        int number = 0;
        for (int g = 0; g < groups.size(); g++) {
            for (Parameter parameter : groups.get(g)) {
                long elements = parameter.param().elementCount();
                for (long first = 0; first < elements; first += CHUNK) {
                    for (Tensor tensor : parameter.tensors) {
                        at = pointer(table, at, tensor, first);
                    }
                    at = mixed ? pointer(table, at, parameter.master, first) : at;
                    table.set(ValueLayout.JAVA_INT, at, (int) Math.min(CHUNK, elements - first));
                    table.set(ValueLayout.JAVA_INT, at + Integer.BYTES, g);
                    at += Long.BYTES;
                    if (mixed) {
                        at = types(table, at, parameter, number, first);
                    }
                }
                number++;
            }
        }
    }

    /** Writes the table of what is added to accumulators. */
    void fillSums(MemorySegment table) {
        long at = 0;
        for (int g = 0; g < groups.size(); g++) {
            for (Parameter parameter : groups.get(g)) {
                Tensor from = parameter.microGrad;
                for (long first = 0; first < from.elementCount(); first += CHUNK) {
                    pointer(table, at + AccumulateChunk.ACCUMULATOR, parameter.grad(), first);
                    pointer(table, at + AccumulateChunk.GRAD, from, first);
                    table.set(ValueLayout.JAVA_INT, at + AccumulateChunk.COUNT,
                            (int) Math.min(CHUNK, from.elementCount() - first));
                    table.set(ValueLayout.JAVA_INT, at + AccumulateChunk.GROUP, g);
                    table.set(ValueLayout.JAVA_INT, at + AccumulateChunk.DTYPE, code(from.dtype()));
                    at += AccumulateChunk.LAYOUT.byteSize();
                }
            }
        }
    }

    private static long pointer(MemorySegment table, long at, @Nullable Tensor tensor, long first) {
        table.set(ValueLayout.JAVA_LONG, at,
                tensor == null ? 0 : tensor.address() + first * tensor.dtype().byteSize());
        return at + Long.BYTES;
    }

    private static long types(MemorySegment table, long at, Parameter parameter, int number, long first) {
        table.set(ValueLayout.JAVA_INT, at, parameter.dtypes());
        if (parameter.rounding != null && parameter.isRoundedStochastically()) {
            table.set(ValueLayout.JAVA_INT, at + Integer.BYTES, (int) first);
            table.set(ValueLayout.JAVA_LONG, at + Long.BYTES,
                    RoundingNoise.key(parameter.rounding.seed(), number, first));
        }
        return at + 2 * Long.BYTES;
    }
}
