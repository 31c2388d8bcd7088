package dev.isobit.bench;

import java.util.List;

/**
 * What one child JVM measures.
 *
 * @param backend which backend
 * @param settings how long
 * @param cases what is timed
 * @param accuracyAs name under which errors of small problems are measured too; empty for none
 * @param operations whose errors
 * @param peer name of the peer on the class path, which stands beside; empty for none
 */
record BenchPlan(String backend, BenchSettings settings, List<BenchCase> cases, String accuracyAs,
        List<String> operations, String peer) {
    /** Steps of progress. */
    int steps() {
        return cases.size() + (accuracyAs.isEmpty() ? 0 : 1);
    }
}
