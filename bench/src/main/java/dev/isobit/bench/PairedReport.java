package dev.isobit.bench;

import dev.isobit.harness.Machine;
import java.util.List;

/**
 * A run of {@link Paired}.
 *
 * @param commit of the sources
 * @param started ISO 8601
 * @param machine where
 * @param loadAverageBefore processes wanting a CPU, over the minute before: with more than 0 the machine was not quiet
 * @param loadAverageAfter over the last minute of the run
 * @param isobit the backend
 * @param baseline what the C baseline was compiled to
 * @param polluted whether both kinds of memory and several backends had been used in this JVM before
 * @param results in the order measured
 */
record PairedReport(String commit, String started, Machine machine, double loadAverageBefore, double loadAverageAfter,
        String isobit, String baseline, boolean polluted, List<PairedResult> results) {}
