package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.DType;
import dev.isobit.Backend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What every peer has to keep to; run in each peer's module, where it is the only one. */
class PeerContractTest {
    /** Operations that a peer does not have; none clips in a step of its optimizer. */
    private static final Map<String, Set<String>> NOT_OFFERED = Map.of("libtorch", Set.of(AdamWorkload.CLIPPED), "djl",
            Set.of(AdamWorkload.CLIPPED), "nd4j", Set.of(AdamWorkload.CLIPPED, "bce"), "tensorflow",
            Set.of(AdamWorkload.CLIPPED));
    /** Peers whose optimizers keep their moments to themselves. */
    private static final Set<String> OWN_MOMENTS = Set.of("libtorch", "djl");
    /** By the largest result. */
    private static final double LARGEST_SHARE = 1e-5;

    private static Backend cpu;
    private static Peer peer;

    @BeforeAll
    static void open() {
        cpu = Backend.open("cpu");
        List<Peer> all = ServiceLoader.load(Peer.class).stream().map(ServiceLoader.Provider::get).toList();
        assertEquals(1, all.size(), all.toString());
        peer = all.getFirst();
    }

    @AfterAll
    static void close() {
        peer.close();
        cpu.close();
    }

    @Test
    void itsNameIsThatOfItsModuleAndItsDescriptionSaysWhatRuns() {
        assertTrue(PeersBuild.NAMES.contains(peer.name()), peer.name());
        assertEquals(Path.of(System.getProperty("basedir")).getFileName().toString(), peer.name());
        for (String word : List.of("\\d+\\.\\d+", "[Tt]hreads", "Cross-entropy|cross_entropy", "Optimizers", "SGD|Sgd|Momentum")) {
            assertTrue(peer.description().matches("(?s).*(" + word + ").*"), word + ": " + peer.description());
        }
    }

    @Test
    void itHasWhatItSays() {
        for (String operation : BenchCase.OPERATIONS) {
            try (var work = Workload.of(AccuracySuite.problem(operation, DType.F32, 1), Inputs.ORDINARY, true, cpu);
                    var call = peer.prepare(work.problem())) {
                if (NOT_OFFERED.get(peer.name()).contains(operation)) {
                    assertNull(call, operation);
                } else {
                    assertNotNull(call, operation);
                }
            }
        }
    }

    /** Means and unreduced losses, optimizers in the middle of a run; the first call and a later one. */
    @Test
    void resultsAreThoseOfFloat64() {
        int compared = 0;
        for (String operation : BenchCase.OPERATIONS) {
            for (boolean mean : new boolean[] {true, false}) {
                try (var work = Workload.of(AccuracySuite.problem(operation, DType.F32, 1), Inputs.ORDINARY, mean, cpu)) {
                    work.makeReference();
                    List<String> told = new ArrayList<>();
                    try (var call = work.prepare(peer, told::add)) {
                        if (call == null) {
                            assertEquals(List.of(peer.name() + " has no " + operation), told);
                            continue;
                        }
                        for (Workload.Judged judged : work.check(peer, call)) {
                            assertTrue(judged.share() <= LARGEST_SHARE, mean + " " + judged);
                            compared++;
                        }
                        if (isLoss(operation)) {
                            // A gradient is not added to what the call before has left.
                            work.check(peer, call).forEach(judged -> assertTrue(judged.share() <= LARGEST_SHARE,
                                    "again: " + judged));
                        }
                    }
                }
            }
        }
        assertTrue(compared >= 7, compared + " outputs were compared");
    }

    @Test
    void aStepGoesOnFromTheStepBefore() {
        for (String operation : List.of("adamw", "sgd")) {
            try (var work = Workload.of(AccuracySuite.problem(operation, DType.F32, 1), Inputs.ORDINARY, false, cpu);
                    var call = peer.prepare(work.problem()); Arena arena = Arena.ofConfined()) {
                MemorySegment param = arena.allocate(work.host("param").byteSize(), 4);
                call.run();
                if (OWN_MOMENTS.contains(peer.name())) {
                    assertFalse(call.read("param", param), operation);
                    continue;
                }
                call.run();
                work.run();
                work.run();
                work.synchronize();
                assertTrue(call.read("param", param), operation);
                for (long i = 0; i < param.byteSize() / Float.BYTES; i++) {
                    assertEquals(work.host("param").getAtIndex(ValueLayout.JAVA_FLOAT, i),
                            param.getAtIndex(ValueLayout.JAVA_FLOAT, i), 1e-6, operation);
                }
            }
        }
    }

    private static boolean isLoss(String operation) {
        return !operation.startsWith("adamw") && !operation.equals("sgd");
    }
}
