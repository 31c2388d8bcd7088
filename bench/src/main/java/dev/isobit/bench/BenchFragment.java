package dev.isobit.bench;

import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.HostCost;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.Runner;
import dev.isobit.bench.BenchReport.Transfer;
import java.util.List;

/**
 * What one child JVM has measured so far.
 *
 * @param device what the device is; empty for none
 */
record BenchFragment(String device, List<Runner> runners, List<String> absent, List<Measurement> measurements,
        List<Accuracy> accuracy, List<HostCost> hostCosts, List<Transfer> transfers) {
    static final BenchFragment EMPTY =
            new BenchFragment("", List.of(), List.of(), List.of(), List.of(), List.of(), List.of());
}
