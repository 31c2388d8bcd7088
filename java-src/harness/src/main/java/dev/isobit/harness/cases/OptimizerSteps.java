package dev.isobit.harness.cases;

import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The steps of an optimizer's case: a parameter, its gradient of each step, and what each step leaves. */
final class OptimizerSteps {
    private final Case asked;
    private final Operands operands;
    private final CaseTensor gradients;
    private final Tensor param;
    private final Tensor grad;
    private final long steps;
    private final Map<String, CaseTensor> traces = new TreeMap<>();
    /** Steps begun. */
    private long step;

    OptimizerSteps(Case asked, Operands operands) throws UnsupportedCaseException {
        this.asked = asked;
        this.operands = operands;
        CaseTensor start = asked.input("p0");
        gradients = asked.input("grads");
        if (gradients.shape().length == 0 || gradients.shape()[0] == 0
                || !Arrays.equals(start.shape(), Arrays.copyOfRange(gradients.shape(), 1, gradients.shape().length))) {
            throw new IllegalArgumentException("grads " + CaseTensor.text(gradients.shape()) + " are no steps of p0 "
                    + CaseTensor.text(start.shape()));
        }
        steps = gradients.shape()[0];
        param = operands.put(start);
        grad = operands.allocate(Operands.dtype(gradients), start.shape());
    }

    Tensor param() {
        return param;
    }

    Tensor grad() {
        return grad;
    }

    /** Takes the next step's gradient, or returns false. */
    boolean next() {
        if (step == steps) {
            return false;
        }
        operands.put(gradients.bytes().asSlice(step++ * grad.byteSize(), grad.byteSize()), grad);
        return true;
    }

    /** Takes down what the step left, if there is such a thing. */
    void keep(String name, @Nullable Tensor left) {
        if (left == null) {
            return;
        }
        CaseTensor now = operands.get(left);
        CaseTensor trace = traces.get(name);
        if (trace == null) {
            long[] shape = new long[now.shape().length + 1];
            shape[0] = steps;
            System.arraycopy(now.shape(), 0, shape, 1, now.shape().length);
            MemorySegment bytes = Arena.ofAuto().allocate(steps * now.bytes().byteSize(), Long.BYTES);
            trace = new CaseTensor(now.type(), shape, bytes);
            traces.put(name, trace);
        }
        trace.bytes().asSlice((step - 1) * now.bytes().byteSize(), now.bytes().byteSize()).copyFrom(now.bytes());
    }

    /** Of every step, or of the last alone, whichever the case tells of. */
    Map<String, CaseTensor> outputs() {
        Map<String, CaseTensor> outputs = new TreeMap<>();
        traces.forEach((name, trace) -> outputs.put(name, asAsked(name, trace)));
        return outputs;
    }

    private CaseTensor asAsked(String name, CaseTensor trace) {
        boolean lastOnly = Expectation.all(asked).stream()
                .anyMatch(expectation -> expectation.output().equals(name) && expectation.indices() == null
                        && expectation.values().elementCount() == param.elementCount());
        long size = trace.bytes().byteSize() / steps;
        return lastOnly
                ? new CaseTensor(trace.type(), param.shape(), trace.bytes().asSlice((steps - 1) * size, size))
                : trace;
    }
}
