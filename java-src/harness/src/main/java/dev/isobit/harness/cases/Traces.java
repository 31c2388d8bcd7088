package dev.isobit.harness.cases;

import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What an optimizer's tensors hold after each step of a case: from {@code p0}, by {@code grads}. Used by one thread. */
final class Traces {
    private final Case asked;
    private final Operands operands;
    private final CaseTensor start;
    private final CaseTensor gradients;
    private final long steps;
    private final Map<String, MemorySegment> traces = new TreeMap<>();

    /** An {@link IllegalArgumentException} where the gradients are not those of steps of {@code p0}. */
    Traces(Case asked, Operands operands) {
        this.asked = asked;
        this.operands = operands;
        start = asked.input("p0");
        gradients = asked.input("grads");
        if (gradients.shape().length == 0
                || !Arrays.equals(start.shape(), Arrays.copyOfRange(gradients.shape(), 1, gradients.shape().length))) {
            throw new IllegalArgumentException("grads " + CaseTensor.text(gradients.shape()) + " are no steps of p0 "
                    + CaseTensor.text(start.shape()));
        }
        steps = gradients.shape()[0];
    }

    long steps() {
        return steps;
    }

    /** Where it starts, on the backend. */
    Tensor param() throws UnsupportedCaseException {
        return operands.put(start);
    }

    /** Fills the gradient of a step. */
    void putGradient(long step, Tensor grad) {
        operands.put(gradients.bytes().asSlice(step * grad.byteSize(), grad.byteSize()), grad);
    }

    /** Keeps what a tensor holds after a step; nothing of one that is not there. */
    void keep(String name, @Nullable Tensor now, long step) {
        if (now != null) {
            traces.computeIfAbsent(name, key -> Arena.ofAuto().allocate(steps * now.byteSize(), Long.BYTES))
                    .asSlice(step * now.byteSize(), now.byteSize()).copyFrom(operands.get(now).bytes());
        }
    }

    /** By name: every step, or the last alone, whichever the case tells of. */
    Map<String, CaseTensor> outputs() {
        Map<String, CaseTensor> outputs = new TreeMap<>();
        traces.forEach((name, trace) -> outputs.put(name, asAsked(name, trace)));
        return outputs;
    }

    private CaseTensor asAsked(String name, MemorySegment trace) {
        long size = trace.byteSize() / steps;
        boolean lastOnly = Expectation.all(asked).stream()
                .anyMatch(expectation -> expectation.output().equals(name) && expectation.indices() == null
                        && expectation.values().elementCount() == start.elementCount());
        if (lastOnly) {
            return new CaseTensor(start.type(), start.shape(), trace.asSlice(trace.byteSize() - size, size));
        }
        long[] shape = new long[start.shape().length + 1];
        shape[0] = steps;
        System.arraycopy(start.shape(), 0, shape, 1, start.shape().length);
        return new CaseTensor(start.type(), shape, trace);
    }
}
