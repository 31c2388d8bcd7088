package dev.isobit.bench;

import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/** Second results of a throughput benchmark: elements and bytes per second. */
@AuxCounters(AuxCounters.Type.OPERATIONS)
@State(Scope.Thread)
public class Traffic {
    /** Elements worked on. */
    public long elements;
    /** Bytes that had to move, each operand once: what a store reads first is not in it. */
    public long bytes;

    void add(long moreElements, long moreBytes) {
        elements += moreElements;
        bytes += moreBytes;
    }
}
