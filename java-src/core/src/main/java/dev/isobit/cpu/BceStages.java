package dev.isobit.cpu;

import org.jspecify.annotations.Nullable;

/**
 * Binary cross-entropy by vectors as stages over a block, each a loop of its own: in one loop fewer elements are under way
 * in the processor at a time. They share one call site, so that C2 does not inline one into another.
 */
final class BceStages implements BceKernel {
    private final BceKernel exponentials;
    private final @Nullable BceKernel logarithms;
    private final BceKernel results;

    /**
     * Bundles stages.
     *
     * @param exponentials sets {@code exp}
     * @param logarithms sets {@code log1p} from it; null where the results' stage does that
     * @param results sets what is wanted; maybe stages again, the first of which sets {@code miss}
     */
    BceStages(BceKernel exponentials, @Nullable BceKernel logarithms, BceKernel results) {
        this.exponentials = exponentials;
        this.logarithms = logarithms;
        this.results = results;
    }

    @Override
    public void run(BceBlock block, int from, int to) {
        run(exponentials, block, from, to);
        if (logarithms != null) {
            run(logarithms, block, from, to);
        }
        run(results, block, from, to);
    }

    private static void run(BceKernel stage, BceBlock block, int from, int to) {
        stage.run(block, from, to);
    }
}
