package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
import java.util.ArrayList;
import java.util.List;

/**
 * A case on a backend of the host, beside copy and stream, the C baseline and peers, in rounds. Results are compared
 * with float64 before, and with themselves after.
 */
final class CpuTiming {
    static final String CLOCK = "wall";
    private static final int ALLOCATION_RUNS = 20;
    /** Errors that no timing is made of: of a backend, and of peers, whose sums may be in any order. */
    private static final double LARGEST_ULP = 40;
    private static final double LARGEST_PEER_ULP = 1e5;

    private final String backendName;
    private final BenchSettings settings;
    private final List<Peer> peers;

    CpuTiming(String backendName, BenchSettings settings, List<Peer> peers) {
        this.backendName = backendName;
        this.settings = settings;
        this.peers = peers;
    }

    Measurement measure(BenchCase what) {
        List<Peer.Call> calls = new ArrayList<>();
        boolean baseline = peers.stream().anyMatch(BaselinePeer.class::isInstance);
        try (Backend backend = Backend.open(backendName, BackendOptions.defaults().withThreads(what.threads()));
                var work = Workload.of(what, Inputs.ORDINARY, true, backend);
                var streams = new MemoryStreams(baseline, what.threads())) {
            work.makeReference();
            require(work.check(backendName), LARGEST_ULP);
            String before = work.digest();
            List<Side> sides = new ArrayList<>();
            sides.add(new Side(backendName, work.bytes(), what.elements(), work::run));
            sides.addAll(streams.sides());
            for (Peer peer : peers) {
                work.reset();
                Peer.Call call = peer.prepare(work.problem());
                if (call != null) {
                    calls.add(call);
                    require(work.check(peer, call), LARGEST_PEER_ULP);
                    sides.add(new Side(peer.name(), work.bytes(), what.elements(), call::run));
                }
            }
            double[][] seconds =
                    new Rounds(settings.rounds(), settings.warmUpSeconds(), settings.batchMillis()).measure(sides);
            double allocated = Allocation.perRun(sides.getFirst(), ALLOCATION_RUNS);
            if (!work.digest().equals(before)) {
                throw new IllegalStateException(what + ": other bits after the timing than before");
            }
            return Measurements.of(what, backendName, CLOCK, allocated, sides, seconds);
        } finally {
            calls.forEach(Peer.Call::close);
        }
    }

    static void require(List<Accuracy> found, double largest) {
        for (Accuracy accuracy : found) {
            if (!(accuracy.maxUlp() <= largest)) {
                throw new IllegalStateException(accuracy.runner() + ", " + accuracy.operation() + ", "
                        + accuracy.output() + ": " + accuracy.maxUlp() + " ULP from float64; nothing is timed");
            }
        }
    }
}
