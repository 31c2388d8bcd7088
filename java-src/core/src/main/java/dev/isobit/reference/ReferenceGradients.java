package dev.isobit.reference;

import dev.isobit.Tensor;
import dev.isobit.spi.HostGradients;
import java.util.List;

/** The gradients of a guarded step, in float64, one element after the other. */
final class ReferenceGradients implements HostGradients {
    private final List<List<Tensor>> groups;

    ReferenceGradients(List<List<Tensor>> groups) {
        this.groups = groups;
    }

    @Override
    public double sumOfSquares(boolean[] enabled) {
        double sum = 0;
        for (int i = 0; i < enabled.length; i++) {
            for (Tensor tensor : enabled[i] ? groups.get(i) : List.<Tensor>of()) {
                Elements grad = Elements.of(tensor);
                for (long k = 0; k < tensor.elementCount(); k++) {
                    sum += grad.get(k) * grad.get(k);
                }
            }
        }
        return sum;
    }

    @Override
    public void zero(boolean[] enabled) {
        for (int i = 0; i < enabled.length; i++) {
            for (Tensor tensor : enabled[i] ? groups.get(i) : List.<Tensor>of()) {
                tensor.segment().fill((byte) 0);
            }
        }
    }
}
