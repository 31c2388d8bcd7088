package dev.isobit.cpu;

/**
 * One stage of the work on a segment of a row: its maximum, its exponentials, their sum, the scaling to gradients.
 *
 * <p>The stages are classes of their own, called through one call site ({@link SegmentStages#run}), so that the JIT sees
 * several receivers there and never inlines one stage into another. It must not: a method into which it has inlined too
 * much is where it stops, and a vector that crosses a call which was not inlined is boxed.
 */
interface SegmentStage {
    /**
     * Does the stage.
     *
     * @param work the segment, and where results go
     */
    void run(SegmentWork work);
}
