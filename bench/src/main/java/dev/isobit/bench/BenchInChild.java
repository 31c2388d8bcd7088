package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.HostCost;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.Runner;
import dev.isobit.bench.BenchReport.Transfer;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.OwnJvm;
import dev.isobit.harness.Workspace;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;

/** Main class of a child JVM: measures what a plan says and leaves what it has so far in a file. */
final class BenchInChild {
    private final BenchPlan plan;
    private final Path file;
    private final Workspace workspace;
    private final List<Runner> runners = new ArrayList<>();
    private final List<String> absent = new ArrayList<>();
    private final List<Measurement> measurements = new ArrayList<>();
    private final List<Accuracy> accuracy = new ArrayList<>();
    private final List<HostCost> hostCosts = new ArrayList<>();
    private final List<Transfer> transfers = new ArrayList<>();
    private String device = "";
    private int done;

    private BenchInChild(BenchPlan plan, Path file, Workspace workspace) {
        this.plan = plan;
        this.file = file;
        this.workspace = workspace;
    }

    /** Arguments: file of the {@link BenchPlan}, file for the {@link BenchFragment}. */
    public static void main(String[] args) {
        ChildJvm.endWithParent();
        var plan = Json.read(Path.of(args[0]), BenchPlan.class);
        try (var workspace = new Workspace()) {
            var child = new BenchInChild(plan, Path.of(args[1]), workspace);
            if (isDevice(plan.backend())) {
                child.onDevice();
            } else {
                child.onHost();
            }
        }
    }

    static boolean isDevice(String backend) {
        return backend.equals("cuda") || OwnJvm.isFor(backend);
    }

    private void onHost() {
        List<Peer> peers = peers();
        try (Backend backend = Backend.open(plan.backend(), BackendOptions.defaults())) {
            String runner = plan.accuracyAs().isEmpty() ? plan.backend() : plan.accuracyAs();
            runners.add(new Runner(runner, backend.description()));
            if (!plan.accuracyAs().isEmpty()) {
                // C's bits depend on which variant was the fastest here; they are measured where there is no peer.
                List<Peer> judged = plan.peer().isEmpty()
                        ? peers
                        : peers.stream().filter(peer -> !(peer instanceof BaselinePeer)).toList();
                accuracy.addAll(AccuracySuite.measure(runner, backend, plan.operations(), judged, absent::add));
                save();
            }
        }
        if (!plan.cases().isEmpty()) {
            try (var streams = new MemoryStreams(peers.stream().anyMatch(BaselinePeer.class::isInstance), 1)) {
                runners.add(new Runner(MemoryStreams.COPY, "128 MB to 128 MB, " + streams.description()));
                runners.add(new Runner(MemoryStreams.IN_PLACE,
                        "adds 1 to each float of 128 MB, " + streams.description()));
            }
        }
        var timing = new CpuTiming(plan.backend(), plan.settings(), peers, absent::add);
        for (BenchCase what : plan.cases()) {
            Measurement found = fits(what) ? timing.measure(what) : null;
            if (found != null) {
                measurements.add(found);
            }
            save();
        }
        peers.forEach(Peer::close);
    }

    private List<Peer> peers() {
        List<Peer> peers = new ArrayList<>();
        try {
            peers.add(BaselinePeer.open());
        } catch (IllegalStateException e) {
            absent.add(e.getMessage());
        }
        if (!plan.peer().isEmpty()) {
            try {
                ServiceLoader.load(Peer.class).forEach(peers::add);
            } catch (ServiceConfigurationError | LinkageError | RuntimeException e) {
                throw new IllegalStateException(plan.peer() + " cannot be loaded", e);
            }
        }
        peers.forEach(peer -> runners.add(new Runner(peer.name(), peer.description())));
        return peers;
    }

    /** Operands, float64 twins, copies of peers and what is streamed have to fit into memory. */
    private boolean fits(BenchCase what) {
        long needed = 5 * what.operandBytes() + (512L << 20);
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        if (needed > system.getTotalMemorySize() / 2) {
            absent.add(what + ": needs " + needed / 1_000_000 + " MB");
            return false;
        }
        return true;
    }

    private void onDevice() {
        boolean simulated = OwnJvm.isFor(plan.backend());
        try (var timing = new GpuTiming(plan.backend(), plan.settings(), simulated)) {
            device = timing.device();
            runners.add(new Runner(plan.backend(), device));
            if (!plan.accuracyAs().isEmpty()) {
                accuracy.addAll(
                        AccuracySuite.measure(plan.accuracyAs(), timing.backend(), plan.operations(), List.of(),
                                absent::add));
                transfers.addAll(timing.transfers());
                save();
            }
            if (!plan.cases().isEmpty()) {
                runners.add(new Runner(MemoryStreams.COPY, "cuMemcpyDtoD of up to 1 GB"));
                if (plan.cases().stream().anyMatch(what -> what.operation().startsWith("adamw"))) {
                    runners.add(new Runner(SameMixStream.NAME,
                            "a kernel that reads 4 arrays of up to 512 MB and writes 3 of them, as AdamW does"));
                }
                if (plan.cases().stream().anyMatch(what -> what.operation().equals(AdamWorkload.CLIPPED))) {
                    runners.add(new Runner(AdamWorkload.BARE,
                            "of adamw-clipped the update alone: no loss scale, no check, no clipping"));
                }
            }
            for (BenchCase what : plan.cases()) {
                if (fits(what)) {
                    measurements.addAll(timing.measure(what));
                }
                save();
            }
        }
        if (!plan.accuracyAs().isEmpty()) {
            hostCosts.addAll(GpuTiming.hostCosts(plan.backend(), plan.settings(), plan.operations(), simulated));
            write();
        }
    }

    private void save() {
        write();
        done++;
        ChildJvm.tellProgress(done);
    }

    private void write() {
        workspace.write(file, Json.write(
                new BenchFragment(device, runners, absent, measurements, accuracy, hostCosts, transfers)));
    }
}
