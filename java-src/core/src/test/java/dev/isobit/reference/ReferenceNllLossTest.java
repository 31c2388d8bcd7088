package dev.isobit.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Backend;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import org.junit.jupiter.api.Test;

class ReferenceNllLossTest {
    @Test
    void weightedMeanOverColumns() {
        // [1, 2, 3]: two classes of three columns
        double[] lp = {-1, -2, -3, -4, -5, -6};
        double[] loss = new double[1];
        double[] gradient = new double[6];
        try (Backend backend = Backend.open("reference");
                NllLoss op = NllLoss.on(backend, NllLossOptions.defaults().withIgnoreIndex(7))) {
            op.lossAndGradient(
                    NllLossOperands.of(Tensor.of(lp, 1, 2, 3), Tensor.of(new long[] {1, 7, 0}, 1, 3))
                            .withClassWeights(Tensor.of(new double[] {1, 3}, 2)),
                    Tensor.of(loss), Tensor.of(gradient, 1, 2, 3));
        }
        assertEquals((3 * 4 + 3) / 4.0, loss[0]);
        assertArrayEquals(new double[] {0, 0, -0.25, -0.75, 0, 0}, gradient);
    }

    @Test
    void sumAndRows() {
        double[] rows = new double[2];
        double[] sum = new double[1];
        var operands = NllLossOperands.of(Tensor.of(new double[] {-1, -2, -3, -4}, 2, 2),
                Tensor.of(new long[] {0, 1}, 2));
        try (Backend backend = Backend.open("reference");
                NllLoss none = NllLoss.on(backend, NllLossOptions.defaults().withReduction(Reduction.NONE));
                NllLoss all = NllLoss.on(backend, NllLossOptions.defaults().withReduction(Reduction.SUM))) {
            none.loss(operands, Tensor.of(rows, 2));
            all.loss(operands, Tensor.of(sum));
        }
        assertArrayEquals(new double[] {1, 4}, rows);
        assertEquals(5, sum[0]);
    }
}
