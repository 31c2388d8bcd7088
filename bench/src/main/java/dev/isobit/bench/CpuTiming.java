package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.Workload.Judged;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A case on a backend of the host, beside copy and stream, the C baseline and peers, in rounds. Results are compared
 * with float64 before, and with themselves after.
 */
final class CpuTiming {
    static final String CLOCK = "wall";
    private static final int ALLOCATION_RUNS = 20;
    /** Errors of which no timing is made: of a backend, and of peers, by the largest result. */
    static final double LARGEST_ULP = 40;
    private static final double LARGEST_PEER_SHARE = 1e-4;

    private final String backendName;
    private final BenchSettings settings;
    private final List<Peer> peers;
    /** The peer whose libraries this JVM has. */
    private final String peer;
    private final Consumer<String> absent;

    /**
     * Prepares.
     *
     * @param absent told of peers that are not timed, for their results are wrong
     */
    CpuTiming(String backendName, BenchSettings settings, List<Peer> peers, Consumer<String> absent) {
        this.absent = absent;
        this.backendName = backendName;
        this.settings = settings;
        this.peers = peers;
        this.peer =
                peers.stream().filter(each -> !(each instanceof BaselinePeer)).map(Peer::name).findFirst().orElse("");
    }

    /** Null if there is a peer and it is not to be timed: it has no such operation, or its results are wrong. */
    @Nullable
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
            for (Peer other : peers) {
                Peer.Call call = work.prepare(other, absent);
                if (call != null) {
                    calls.add(call);
                    if (isRight(what, work.check(other, call))) {
                        sides.add(new Side(other.name(), work.bytes(), what.elements(), call::run));
                    }
                }
            }
            if (!peer.isEmpty() && sides.stream().noneMatch(side -> side.name().equals(peer))) {
                return null;
            }
            double[][] seconds =
                    new Rounds(settings.rounds(), settings.warmUpSeconds(), settings.batchMillis()).measure(sides);
            double allocated = Allocation.perRun(sides.getFirst(), ALLOCATION_RUNS);
            if (!work.digest().equals(before)) {
                throw new IllegalStateException(what + ": other bits after the timing than before");
            }
            return Measurements.of(what, backendName, CLOCK, allocated, sides, seconds).measuredFor(peer);
        } finally {
            calls.forEach(Peer.Call::close);
        }
    }

    private boolean isRight(BenchCase what, List<Judged> found) {
        for (Judged judged : found) {
            if (!(judged.share() <= LARGEST_PEER_SHARE)) {
                absent.accept(what + ", " + judged.accuracy().runner() + ": " + judged.accuracy().output()
                        + " is wrong by " + judged.share() + " of the largest result; not timed");
                return false;
            }
        }
        return true;
    }

    /** Throws if a peer's results are wrong. */
    static void requireRight(List<Judged> found) {
        for (Judged judged : found) {
            if (!(judged.share() <= LARGEST_PEER_SHARE)) {
                throw new IllegalStateException(judged + " is wrong; nothing is timed");
            }
        }
    }

    static void require(List<Judged> found, double largest) {
        for (Judged judged : found) {
            Accuracy accuracy = judged.accuracy();
            if (!(accuracy.maxUlp() <= largest)) {
                throw new IllegalStateException(accuracy.runner() + ", " + accuracy.operation() + ", "
                        + accuracy.output() + ": " + accuracy.maxUlp() + " ULP from float64; nothing is timed");
            }
        }
    }
}
