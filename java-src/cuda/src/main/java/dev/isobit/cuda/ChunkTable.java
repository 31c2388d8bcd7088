package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.GuardPiece;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of an optimizer, as its kernels find them in a table of chunks.
 *
 * @param groups of each group, of each parameter, the tensors in the order of the pointers of a chunk; null for none
 */
record ChunkTable(List<List<@Nullable Tensor[]>> groups) {
    /** Elements of a chunk: the same for all optimizers. */
    static final int CHUNK = 2048;
    /** Of the type of an array in a chunk. */
    private static final int DTYPE_BITS = 4;

    /** Whether the chunks tell the types of their arrays: else all are float32. */
    boolean isMixed() {
        return groups.stream().flatMap(List::stream).anyMatch(tensors -> dtypes(tensors) != 0);
    }

    /** The part of an entry's name that says which types it takes. */
    String dtype() {
        return isMixed() ? "mixed" : "f32";
    }

    /** The module of an optimizer's step. */
    String module(String optimizer) {
        return isMixed() ? optimizer + "_mixed" : optimizer;
    }

    private static int dtypes(@Nullable Tensor[] tensors) {
        int dtypes = 0;
        for (int i = 0; i < tensors.length; i++) {
            Tensor tensor = tensors[i];
            if (tensor != null) {
                dtypes |= code(tensor.dtype()) << DTYPE_BITS * i;
            }
        }
        return dtypes;
    }

    /** A type as kernels know it. */
    static int code(DType dtype) {
        return switch (dtype) {
            case F32 -> GuardPiece.F32;
            case BF16 -> GuardPiece.BF16;
            case F16 -> GuardPiece.F16;
            default -> throw new IllegalArgumentException("no kernel takes " + dtype);
        };
    }

    /** How many chunks a group has. */
    long chunks(int group) {
        return groups.get(group).stream()
                .mapToLong(tensors -> LaunchTable.ceil(param(tensors).elementCount(), CHUNK)).sum();
    }

    private static Tensor param(@Nullable Tensor[] tensors) {
        return Objects.requireNonNull(tensors[0]);
    }

    /** The bytes of a chunk; 0 where there is none. */
    long chunkBytes() {
        return groups.stream().flatMap(List::stream).findFirst()
                .map(tensors -> (tensors.length + (isMixed() ? 2L : 1L)) * Long.BYTES).orElse(0L);
    }

    /**
     * Writes the table. Each tensor is cut at multiples of the chunk size, so that its chunks keep its alignment.
     *
     * @param perLaunch groups of a launch
     */
    void fill(MemorySegment table, int perLaunch) {
        boolean mixed = isMixed();
        long at = 0;
        for (int g = 0; g < groups.size(); g++) {
            for (Tensor[] tensors : groups.get(g)) {
                long elements = param(tensors).elementCount();
                for (long first = 0; first < elements; first += CHUNK) {
                    for (Tensor tensor : tensors) {
                        table.set(ValueLayout.JAVA_LONG, at,
                                tensor == null ? 0 : tensor.address() + first * tensor.dtype().byteSize());
                        at += Long.BYTES;
                    }
                    table.set(ValueLayout.JAVA_INT, at, (int) Math.min(CHUNK, elements - first));
                    table.set(ValueLayout.JAVA_INT, at + Integer.BYTES, g % perLaunch);
                    at += Long.BYTES;
                    if (mixed) {
                        table.set(ValueLayout.JAVA_INT, at, dtypes(tensors));
                        at += Long.BYTES;
                    }
                }
            }
        }
    }
}
