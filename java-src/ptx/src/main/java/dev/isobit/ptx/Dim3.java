package dev.isobit.ptx;

/**
 * Extents of a grid, block or cluster, each at least 1.
 *
 * @param x along the fastest axis
 * @param y along the second axis
 * @param z along the slowest axis
 */
public record Dim3(int x, int y, int z) {
    /** Checks the extents. */
    public Dim3 {
        if (x < 1 || y < 1 || z < 1) {
            throw new IllegalArgumentException("extents must be at least 1: " + x + ", " + y + ", " + z);
        }
    }

    /**
     * A line of elements.
     *
     * @param x their number
     * @return the extents (x, 1, 1)
     */
    public static Dim3 of(int x) {
        return new Dim3(x, 1, 1);
    }

    /**
     * A rectangle.
     *
     * @param x along the fastest axis
     * @param y along the second axis
     * @return the extents (x, y, 1)
     */
    public static Dim3 of(int x, int y) {
        return new Dim3(x, y, 1);
    }

    static Dim3 of(int[] extents) {
        return new Dim3(extents[0], extents[1], extents[2]);
    }

    /** {@return the number of elements} */
    public long size() {
        return (long) x * y * z;
    }

    /** The position of the element with a linear index. */
    int[] position(long index) {
        return new int[] {(int) (index % x), (int) (index / x % y), (int) (index / x / y)};
    }

    /** The linear index of a position. */
    long index(int[] position) {
        return position[0] + x * (position[1] + (long) y * position[2]);
    }

    @Override
    public String toString() {
        return "(" + x + ", " + y + ", " + z + ")";
    }
}
