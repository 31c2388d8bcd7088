package dev.isobit.ptx;

/**
 * A thread at an instruction.
 *
 * @param kernel name of the entry
 * @param source where the instruction comes from
 * @param instruction its line in the PTX
 * @param block block index
 * @param thread thread index in the block
 */
public record ThreadLocation(String kernel, SourceLocation source, String instruction, Index block, Index thread) {
    /**
     * A block or thread index.
     *
     * @param x along the fastest axis
     * @param y along the second axis
     * @param z along the slowest axis
     */
    public record Index(int x, int y, int z) {
        Index(int[] position) {
            this(position[0], position[1], position[2]);
        }

        @Override
        public String toString() {
            return "(" + x + ", " + y + ", " + z + ")";
        }
    }

    @Override
    public String toString() {
        return "kernel " + kernel + ", " + source + ", block " + block + ", thread " + thread + ": " + instruction;
    }
}
