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

    // Slices of one length spare a loop tests: the JIT tests a position in one of them, and in no other. But a slice that it does
    // not see being made is allocated. So kernels that slice call asSlice themselves, and in the form with an
    // alignment: of the other form, which all of a JVM calls, the profile of others decides whether it is inlined. A slice whose
    // length is a constant, made in each turn, spares all tests but its own; it has to be in a loop that turns often whenever its
    // method is called. See bench/NOTES.md.

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
