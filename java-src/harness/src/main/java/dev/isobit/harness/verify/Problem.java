package dev.isobit.harness.verify;

import dev.isobit.Backend;
import java.util.List;
import java.util.Map;

/**
 * Operands and options whose results are compared. Immutable; inputs are generated from the seed, the same in every
 * JVM.
 */
interface Problem {
    /** Which operation, such as {@code CrossEntropy}. */
    String operation();

    /** The kind of inputs, in a word. */
    String inputs();

    /** Everything that makes this problem another than the next. */
    String name();

    /** Generates the operands. */
    Prepared prepare();

    /** A problem with its operands. Used by one thread. */
    interface Prepared {
        /** Ways to ask; the first gives all outputs. */
        List<Form> forms();

        /** Asks a backend. */
        Results run(Backend backend, Slab slab, Form form);

        /** Whether the reference judges it; else only bits are compared. */
        boolean isJudged();

        /** The exact results, in float64. */
        Map<Output, double[]> reference(Backend reference);

        /** Measures one output against the reference. */
        void judge(Output output, double[] expected, int[] actual, Judge judge);
    }
}
