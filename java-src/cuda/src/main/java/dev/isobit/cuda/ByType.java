package dev.isobit.cuda;

import dev.isobit.DType;
import java.util.EnumMap;
import java.util.Map;

/**
 * The kernels of an operation for each type of its operands, loaded by the first call that needs them. Used by one thread.
 *
 * @param <K> what there is of a type
 */
final class ByType<K> {
    /** Loads kernels. */
    interface Loader<K> {
        K load(String operation, DType dtype);
    }

    private final Loader<K> loader;
    private final Map<DType, K> loaded = new EnumMap<>(DType.class);

    /** With those of F32, which are loaded at once. */
    ByType(String making, Loader<K> loader) {
        this.loader = loader;
        get(making, DType.F32);
    }

    K get(String operation, DType dtype) {
        K kernels = loaded.get(dtype);
        if (kernels == null) {
            kernels = loader.load(operation, dtype);
            loaded.put(dtype, kernels);
        }
        return kernels;
    }
}
