package dev.isobit.harness.cases;

import java.util.List;
import java.util.Map;
import java.util.Set;

/** Runs the cases of an operation. Another operation is another class, named in {@link #ALL}. Thread-safe. */
interface CaseOp {
    /** Every operation that can be run. */
    List<CaseOp> ALL =
            List.of(new CrossEntropyOp(), new BceWithLogitsOp(), new SoftmaxOp(), new NllLossOp(), new AdamOp(),
                    new SgdOp(), new OnnxAdamOp(), new OnnxMomentumOp());

    /** The names of the operation in case files. */
    Set<String> names();

    /**
     * Computes what the case has expectations of.
     *
     * @param asked the case
     * @param operands takes its inputs to the backend, and results back
     * @return the outputs by name
     * @throws UnsupportedCaseException if the library does not have what it asks for
     * @throws IllegalArgumentException if the case contradicts itself
     */
    Map<String, CaseTensor> run(Case asked, Operands operands) throws UnsupportedCaseException;
}
