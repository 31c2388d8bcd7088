package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.bench.BenchReport.Accuracy;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Errors on small problems, ordinary and hard: of a backend, and of peers on the same operands. */
final class AccuracySuite {
    private AccuracySuite() {}

    static BenchCase problem(String operation, DType dtype, int threads) {
        return switch (operation) {
            case "cross-entropy" -> BenchCase.of(operation, dtype, threads, 64, 1000);
            case "bce" -> BenchCase.of(operation, dtype, threads, 256, 64);
            default -> BenchCase.of(operation, dtype, threads, 3, 4099);
        };
    }

    /**
     * Measures.
     *
     * @param absent told of peers that have no results
     */
    static List<Accuracy> measure(String runner, Backend backend, List<String> operations, List<Peer> peers,
            Consumer<String> absent) {
        List<Accuracy> found = new ArrayList<>();
        for (String operation : operations) {
            for (DType dtype : BenchCase.dtypes(operation)) {
                for (Inputs inputs : Inputs.of(operation)) {
                    measure(found, runner, Workload.of(problem(operation, dtype, 1), inputs, false, backend), peers,
                            absent);
                }
            }
        }
        return found;
    }

    private static void measure(List<Accuracy> found, String runner, Workload made, List<Peer> peers,
            Consumer<String> absent) {
        try (Workload work = made) {
            work.makeReference();
            work.check(runner).forEach(judged -> found.add(judged.accuracy()));
            for (Peer peer : peers) {
                try (var call = work.prepare(peer, absent)) {
                    if (call != null) {
                        work.check(peer, call).forEach(judged -> found.add(judged.accuracy()));
                    }
                }
            }
        }
    }
}
