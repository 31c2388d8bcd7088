package dev.isobit.ptx;

import java.util.List;

/** A kernel of a module. Immutable and thread-safe. */
public final class Entry {
    /**
     * A parameter's place in the argument block.
     *
     * @param name its name in the PTX
     * @param offset in bytes from the start of the block
     * @param bytes its size
     * @param align its alignment
     */
    public record Parameter(String name, int offset, int bytes, int align) {}

    private final PtxModule module;
    private final String name;
    private final List<Parameter> parameters;
    private final Function function;
    private final int sharedBytes;

    Entry(PtxModule module, Function function, List<Parameter> parameters, int sharedBytes) {
        this.module = module;
        this.name = function.name;
        this.function = function;
        this.parameters = List.copyOf(parameters);
        this.sharedBytes = sharedBytes;
    }

    /** {@return the module that it belongs to} */
    public PtxModule module() {
        return module;
    }

    /** {@return its name in the PTX} */
    public String name() {
        return name;
    }

    /** {@return its parameters, in order} */
    public List<Parameter> parameters() {
        return parameters;
    }

    /** {@return the size of its argument block in bytes: where the last parameter ends} */
    public int parameterBytes() {
        return parameters.isEmpty() ? 0 : parameters.getLast().offset() + parameters.getLast().bytes();
    }

    /** {@return the static shared memory of a block in bytes} */
    public int sharedBytes() {
        return sharedBytes;
    }

    /** {@return the most threads that a block may have, by {@code .maxntid} or {@code .reqntid}} */
    public int maxThreads() {
        int[] bound = function.requiredThreads != null ? function.requiredThreads : function.maxThreads;
        return bound == null ? Launch.MAX_BLOCK : (int) Math.min(Launch.MAX_BLOCK, Dim3.of(bound).size());
    }

    /** {@return the block shape that {@code .reqntid} demands, or null} */
    public Dim3 requiredBlock() {
        return function.requiredThreads == null ? null : Dim3.of(function.requiredThreads);
    }

    /** {@return the cluster shape that {@code .reqnctapercluster} demands, or null} */
    public Dim3 requiredCluster() {
        return function.requiredCluster == null ? null : Dim3.of(function.requiredCluster);
    }

    Program program() {
        return module.program(name);
    }

    @Override
    public String toString() {
        return name;
    }
}
