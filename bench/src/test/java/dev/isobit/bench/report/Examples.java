package dev.isobit.bench.report;

import dev.isobit.DType;
import dev.isobit.bench.BenchCase;
import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.HostCost;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.Runner;
import dev.isobit.bench.BenchReport.SideResult;
import dev.isobit.bench.BenchReport.Transfer;
import dev.isobit.bench.BenchSettings;
import dev.isobit.bench.Bootstrap;
import dev.isobit.harness.Machine;
import dev.isobit.harness.Rng;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Runs that were never measured: a host with peers, and a device. */
final class Examples {
    private static final BenchSettings SETTINGS = new BenchSettings("quick", 1, 15, 1, 10);

    private Examples() {}

    static BenchReport host() {
        List<Measurement> found = new ArrayList<>();
        for (long classes : new long[] {2, 10, 100, 1000, 10_000, 128_256}) {
            found.add(measurement("cpu", "wall", "cross-entropy", 2, 3, (1 << 21) / classes, classes));
        }
        found.add(measurement("cpu", "wall", "cross-entropy", 1, 2, 512, 1000));
        found.add(measurement("cpu", "wall", "bce", 2, 1, 16_384, 64));
        for (long size : new long[] {1 << 10, 1 << 16, 1 << 20, 1 << 24}) {
            found.add(measurement("cpu", "wall", "adamw", 2, 1.5, 1, size));
        }
        for (String peer : List.of("djl", "nd4j")) {
            found.add(measuredFor(peer, 2, 512, 1000));
        }
        List<Accuracy> accuracy = List.of(accuracy("cpu", "ordinary", 2.1, "a"), accuracy("sim", "ordinary", 2.1, "a"),
                accuracy("C", "ordinary", 12, "b"), accuracy("cpu", "confident rows", 1.3, "c"),
                accuracy("C", "confident rows", 2.8e7, "d"),
                accuracy("<libtorch>", "confident rows", Double.POSITIVE_INFINITY, "e"));
        return report("2026-11-21T10:00:00Z", null, 0.1, true, found, accuracy, List.of(), List.of());
    }

    static BenchReport device() {
        List<Measurement> found = new ArrayList<>();
        for (long classes : new long[] {10, 1000, 128_256}) {
            for (String cache : List.of("warm", "cold")) {
                found.add(
                        measurement("cuda", "events, " + cache + " cache", "cross-entropy", 0, 200, (1 << 21) / classes,
                                classes));
            }
        }
        found.add(measurement("cuda", "events, warm cache", "adamw", 0, 90, 1, 1 << 27));
        found.add(measurement("cuda", "events, warm cache", "adamw-clipped", 0, 80, 1, 1 << 27));
        return report("2026-11-22T10:00:00Z", "device 0: Some GPU, sm_90", 9, false, found,
                List.of(accuracy("cuda", "ordinary", 2.1, "a")),
                List.of(new HostCost("adamw", "FFM", new Bootstrap.Interval(0.2, 0.19, 0.21))),
                List.of(new Transfer("host to device", "pinned", 1 << 26, new Bootstrap.Interval(25, 24, 26)),
                        new Transfer("device to host", "pinned", 1 << 26, new Bootstrap.Interval(24, 23, 25))));
    }

    private static BenchReport report(String started, String device, double load, boolean complete,
            List<Measurement> found, List<Accuracy> accuracy, List<HostCost> costs, List<Transfer> transfers) {
        return new BenchReport(BenchReport.FORMAT, "abc", started, 100, complete, SETTINGS,
                new Machine("Linux <6>", "A & B processor", 2, "25", "0.1.0"), device, load, load,
                List.of(new Runner("cpu", "Vector API"), new Runner("<libtorch>", "eager & not fused")),
                List.of("cuda: none"), found, accuracy, costs, transfers);
    }

    static Accuracy accuracy(String runner, String inputs, double ulp, String digest) {
        return new Accuracy(runner, "cross-entropy", "F32", inputs, "loss", 100, ulp, ulp / 3, digest);
    }

    static Measurement measurement(String backend, String clock, String operation, int threads, double giga,
            long... shape) {
        var what = new BenchCase(operation, DType.F32, Arrays.stream(shape).boxed().toList(), threads);
        long bytes = 8 * what.elements();
        var rng = new Rng(what.hashCode());
        List<SideResult> sides = new ArrayList<>();
        sides.add(side(backend, what, bytes, giga, rng, null));
        sides.add(side("copy", what, bytes, 1.7 * giga, rng, sides.getFirst()));
        if (clock.equals("wall")) {
            sides.add(side("in-place stream", what, bytes, 2.5 * giga, rng, sides.getFirst()));
            sides.add(side("C", what, bytes, 1.2 * giga, rng, sides.getFirst()));
            sides.add(side("<libtorch>", what, bytes, 0.15 * giga, rng, sides.getFirst()));
        } else if (operation.equals("adamw")) {
            sides.add(side("same-mix stream", what, bytes, giga / 0.95, rng, sides.getFirst()));
        } else if (operation.equals("adamw-clipped")) {
            sides.add(side("bare step", what, bytes, giga * 1.1, rng, sides.getFirst()));
        }
        return new Measurement(what, backend, clock, what.elements(), bytes, 0, sides, "");
    }

    /** The case once more, slower, beside a peer of half its speed. */
    static Measurement measuredFor(String peer, int threads, long... shape) {
        Measurement again = measurement("cpu", "wall", "cross-entropy", threads, 1, shape);
        List<SideResult> sides = new ArrayList<>(again.sides());
        sides.add(side(peer, again.what(), again.bytes(), 0.5, new Rng(1), again.own()));
        return new Measurement(again.what(), again.backend(), again.clock(), again.elements(), again.bytes(), 0,
                sides, peer);
    }

    /** A script's run on the device of {@link #device}, warmer: a third of the backend's speed. */
    static BenchReport script() {
        Measurement found = measurement("PyTorch eager", "events, warm cache", "cross-entropy", 0, 200 / 3.0,
                (1 << 21) / 1000, 1000);
        return report("2026-11-22T11:00:00Z", "device 0: Some GPU, sm_90; nvidia-smi: 70 C", 0.1, true, List.of(found),
                List.of(), List.of(), List.of());
    }

    private static SideResult side(String runner, BenchCase what, long bytes, double giga, Rng rng, SideResult own) {
        double[] seconds = new double[15];
        Arrays.setAll(seconds, i -> what.elements() / (giga * 1e9) * (1 + 0.05 * rng.nextFloat()));
        double[] ratios = new double[seconds.length];
        if (own != null) {
            Arrays.setAll(ratios, i -> seconds[i] / own.seconds()[0][i]);
        }
        return new SideResult(runner, bytes,
                Bootstrap.median(new double[][] {Arrays.stream(seconds).map(s -> s * 1e6).toArray()}), 8 * giga, giga,
                own == null ? null : Bootstrap.median(new double[][] {ratios}), new double[][] {seconds});
    }
}
