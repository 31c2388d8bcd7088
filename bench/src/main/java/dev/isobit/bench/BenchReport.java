package dev.isobit.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.isobit.bench.Bootstrap.Interval;
import dev.isobit.harness.Machine;
import java.util.List;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * A run of {@code isobit bench}, as its JSON file has it; bench/FORMAT.md describes it. Fields are only ever added under
 * one {@link #FORMAT}.
 *
 * @param format name and version of this form
 * @param commit of the sources; {@code unknown} outside of a checkout
 * @param started ISO 8601
 * @param seconds wall-clock time so far
 * @param complete false while it runs and if it was interrupted
 * @param settings how it was measured
 * @param machine where
 * @param device of a run on a device: name, clocks, driver, temperature, as far as told; else null
 * @param loadAverageBefore processes wanting a CPU, over the minute before: the machine was not quiet with more than 0
 * @param loadAverageAfter over the last minute of the run
 * @param runners what ran beside each other
 * @param absent what was not measured, and why
 * @param measurements in the order measured
 * @param accuracy errors against float64
 * @param hostCosts what calls cost the host, on a device
 * @param transfers copies between host and device
 */
public record BenchReport(String format, String commit, String started, double seconds, boolean complete,
        BenchSettings settings, Machine machine, @Nullable String device, double loadAverageBefore,
        double loadAverageAfter, List<Runner> runners, List<String> absent, List<Measurement> measurements,
        List<Accuracy> accuracy, List<HostCost> hostCosts, List<Transfer> transfers) {
    /** The form that is written. */
    public static final String FORMAT = "isobit-bench/1";

    /** A list that an older file does not have is empty. */
    public BenchReport {
        runners = orEmpty(runners);
        absent = orEmpty(absent);
        measurements = orEmpty(measurements);
        accuracy = orEmpty(accuracy);
        hostCosts = orEmpty(hostCosts);
        transfers = orEmpty(transfers);
    }

    private static <T> List<T> orEmpty(@Nullable List<T> list) {
        return list == null ? List.of() : List.copyOf(list);
    }

    /**
     * Something that was measured or measured against.
     *
     * @param name short, the same in {@link SideResult}
     * @param description version, what it runs (fused or not, which semantics), threads
     */
    public record Runner(String name, String description) {}

    /**
     * An operation at one size, and what ran beside it in the same rounds.
     *
     * @param what operation, type, shape, threads
     * @param backend which backend
     * @param clock {@code wall}; {@code events} of a device, warm or cold cache; {@code simulated}: no timing at all
     * @param elements that a call works on
     * @param bytes that a call has to move, each operand once
     * @param allocatedBytesPerCall by all threads of the JVM; negative if not measured
     * @param sides the backend's own first
     * @param peer name of the one among the sides for which this was measured, in JVMs with its libraries; empty in the
     *     measurement of the backend itself
     */
    public record Measurement(BenchCase what, String backend, String clock, long elements, long bytes,
            double allocatedBytesPerCall, List<SideResult> sides, String peer) {
        /** Files of the first runs do not have the last field. */
        public Measurement {
            peer = peer == null ? "" : peer;
        }

        /**
         * The same, measured for a peer.
         *
         * @param name its name
         * @return the measurement
         */
        Measurement measuredFor(String name) {
            return new Measurement(what, backend, clock, elements, bytes, allocatedBytesPerCall, sides, name);
        }

        /**
         * The side that the others stand beside.
         *
         * @return the first
         */
        public SideResult own() {
            return sides.getFirst();
        }

        /**
         * A side by name.
         *
         * @param runner its name
         * @return the side; null if it did not run
         */
        public @Nullable SideResult side(String runner) {
            return sides.stream().filter(side -> side.runner().equals(runner)).findFirst().orElse(null);
        }

        /**
         * What memory gives to a stream: in place on a host, on a device of AdamW's mix of reads and writes.
         *
         * @return the side; null if none ran
         */
        public @Nullable SideResult stream() {
            SideResult inPlace = side(MemoryStreams.IN_PLACE);
            return inPlace == null ? side(SameMixStream.NAME) : inPlace;
        }

        /**
         * How many times as long a step with clipping takes as a bare one.
         *
         * @return the median over rounds; empty if no bare step ran
         */
        public OptionalDouble timesBareStep() {
            SideResult bare = side(AdamWorkload.BARE);
            return bare == null || bare.fraction() == null
                    ? OptionalDouble.empty()
                    : OptionalDouble.of((double) bytes / bare.bytes() / bare.fraction().median());
        }
    }

    /**
     * How fast one side was.
     *
     * @param runner name of a {@link Runner}
     * @param bytes that it moves in a run
     * @param microseconds of a run: median, 95 % interval
     * @param gigaBytes per second, at the median
     * @param gigaElements per second, at the median
     * @param fraction bytes per second of the first side by this side's, round by round; null for the first
     * @param seconds of a run, by fork and round
     */
    public record SideResult(String runner, long bytes, Interval microseconds, double gigaBytes, double gigaElements,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable Interval fraction, double[][] seconds) {}

    /**
     * Errors of one output on one kind of inputs.
     *
     * @param runner whose
     * @param operation as in {@link BenchCase}
     * @param dtype of logits or parameters
     * @param inputs kind of inputs
     * @param output such as {@code gradLogits}
     * @param elements how many were compared
     * @param maxUlp largest error in units in the last place; infinite if a NaN or an infinity is not where it belongs
     * @param rmsUlp root of the mean of the squared errors
     * @param digest of all bits: equal bits have equal digests
     */
    public record Accuracy(String runner, String operation, String dtype, String inputs, String output, long elements,
            double maxUlp, double rmsUlp, String digest) {}

    /**
     * What the host spends on a call that only queues work.
     *
     * @param call the operation
     * @param launcher how launches reach the driver
     * @param microseconds of a call
     */
    public record HostCost(String call, String launcher, Interval microseconds) {}

    /**
     * Copies between host and device.
     *
     * @param direction such as {@code host to device}
     * @param memory {@code pinned} or {@code pageable}
     * @param bytes of a copy
     * @param gigaBytes per second
     */
    public record Transfer(String direction, String memory, long bytes, Interval gigaBytes) {}

    /** The same run with other results so far. */
    BenchReport with(double nowSeconds, boolean nowComplete, double load, List<Runner> nowRunners,
            List<String> nowAbsent, List<Measurement> nowMeasurements, List<Accuracy> nowAccuracy,
            List<HostCost> nowHostCosts, List<Transfer> nowTransfers, @Nullable String nowDevice) {
        return new BenchReport(format, commit, started, nowSeconds, nowComplete, settings, machine, nowDevice,
                loadAverageBefore, load, nowRunners, nowAbsent, nowMeasurements, nowAccuracy, nowHostCosts,
                nowTransfers);
    }
}
