package dev.isobit.cpu;

import java.lang.foreign.ValueLayout;

/** A stage by scalar code: any memory, any JVM. */
abstract class ScalarStage implements SegmentStage {
    static float get(SegmentWork work, int i) {
        return work.in.length > 0
                ? work.in[(int) work.at + i]
                : work.inSegment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, work.at + (long) i * Float.BYTES);
    }

    static float getOut(SegmentWork work, int i) {
        return work.out.length > 0
                ? work.out[(int) work.outAt + i]
                : work.outSegment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, work.outAt + (long) i * Float.BYTES);
    }

    static void setOut(SegmentWork work, int i, float value) {
        if (work.out.length > 0) {
            work.out[(int) work.outAt + i] = value;
        } else {
            work.outSegment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, work.outAt + (long) i * Float.BYTES, value);
        }
    }
}
