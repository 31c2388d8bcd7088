package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * Access to an operand by vectors. Each method is told which kind of memory it has by a constant of the specialised
 * kernel that calls it, and is inlined there.
 */
final class VectorAccess {
    static final int WIDTH = VectorMath.SPECIES.length();
    private static int step = WIDTH;

    private VectorAccess() {}

    /**
     * {@link #WIDTH}, for the loops over an operand. It is no constant to the JIT, so that it takes none of them for a loop
     * that it can count. Such a loop it would put into another one, and before the inner one it would test, among what holds
     * for all turns, that the segment belongs to the current thread, if most segments in this JVM do so far; for memory of a
     * shared arena that fails, up to a hundred times, and until the loop is compiled anew its vectors are boxed. See
     * bench/NOTES.md.
     */
    static int step() {
        return step;
    }

    /**
     * Tells the JIT a segment's class, see {@link FloatOperand#NATIVE_SEGMENT}: what follows in the caller knows it.
     *
     * @param isNative whether the class is to be told
     * @param segment the segment
     */
    static void require(boolean isNative, MemorySegment segment) {
        if (isNative && segment.getClass() != FloatOperand.NATIVE_SEGMENT) {
            throw new IllegalStateException("a kernel for native memory got " + segment);
        }
    }

    /**
     * What a loop reaches of an operand, which then stands at 0. Where slices are of one length the JIT tests a position in one
     * of them, and in no other; and of a slice that it sees being made it knows the address.
     *
     * @param isNative whether the operand is native memory; else its segment is returned
     * @param segment the operand's
     * @param at where the loop begins
     * @param bytes how far it goes
     * @return the slice, of whose class the caller tells the JIT by {@link #require}
     */
    static MemorySegment slice(boolean isNative, MemorySegment segment, long at, long bytes) {
        require(isNative, segment);
        return isNative ? segment.asSlice(at, bytes) : segment;
    }

    /**
     * The same of an operand that may be any kind of memory.
     *
     * @param isArray whether it is an array, or nothing: its segment, which nobody reads, is returned
     * @param isNative whether it is native memory; else memory of another class is sliced
     * @param segment the operand's
     * @param at where the loop begins
     * @param bytes how far it goes
     * @return the slice
     */
    static MemorySegment slice(boolean isArray, boolean isNative, MemorySegment segment, long at, long bytes) {
        return isArray || isNative ? slice(!isArray, segment, at, bytes) : segment.asSlice(at, bytes);
    }

    static FloatVector load(boolean isArray, float[] array, MemorySegment segment, long at, int i) {
        return isArray
                ? FloatVector.fromArray(VectorMath.SPECIES, array, (int) at + i)
                : FloatVector.fromMemorySegment(VectorMath.SPECIES, segment, at + (long) i * Float.BYTES,
                        ByteOrder.nativeOrder());
    }

    static void store(boolean isArray, float[] array, MemorySegment segment, long at, int i, FloatVector value) {
        if (isArray) {
            value.intoArray(array, (int) at + i);
        } else {
            value.intoMemorySegment(segment, at + (long) i * Float.BYTES, ByteOrder.nativeOrder());
        }
    }

    static float get(boolean isArray, float[] array, MemorySegment segment, long at, int i) {
        return isArray
                ? array[(int) at + i]
                : segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + (long) i * Float.BYTES);
    }

    static void set(boolean isArray, float[] array, MemorySegment segment, long at, int i, float value) {
        if (isArray) {
            array[(int) at + i] = value;
        } else {
            segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at + (long) i * Float.BYTES, value);
        }
    }

    /** Adds a vector to the lanes of elements i, i + 1, ... */
    static void addToLanes(float[] lanes, int i, FloatVector value) {
        int at = i & SegmentWork.LANES - 1;
        FloatVector.fromArray(VectorMath.SPECIES, lanes, at).add(value).intoArray(lanes, at);
    }
}
