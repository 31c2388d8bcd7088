package dev.isobit.bench.libtorch;

import dev.isobit.Reduction;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;

/** Losses and their gradients by libtorch's operators and autograd, in one type; arrays are float64 on both sides. */
final class Libtorch {
    private final torch.ScalarType type;

    Libtorch(torch.ScalarType type) {
        this.type = type;
    }

    /** What an operator and its backward make. */
    record Outcome(double[] loss, double[] gradient) {}

    private interface Loss {
        Tensor of(Tensor input);
    }

    private Tensor tensor(double[] values, long... shape) {
        return torch.from_blob(new DoublePointer(values), shape, new TensorOptions(torch.ScalarType.Double)).to(type)
                .clone();
    }

    private static Tensor tensor(long[] values, long... shape) {
        return torch.from_blob(new LongPointer(values), shape, new TensorOptions(torch.ScalarType.Long)).clone();
    }

    private TensorOptional optional(double[] values, long... shape) {
        return values == null ? new TensorOptional() : new TensorOptional(tensor(values, shape));
    }

    private static double[] values(Tensor tensor) {
        double[] values = new double[Math.toIntExact(tensor.numel())];
        tensor.to(torch.ScalarType.Double).contiguous().data_ptr_double().get(values);
        return values;
    }

    /** ATen's number of a reduction. */
    private static long number(Reduction reduction) {
        return switch (reduction) {
            case NONE -> 0;
            case MEAN -> 1;
            case SUM -> 2;
        };
    }

    private Outcome run(double[] logits, long[] shape, double[] gradLoss, Loss loss) {
        try (var _ = new PointerScope()) {
            Tensor input = tensor(logits, shape);
            input.set_requires_grad(true);
            Tensor found = loss.of(input);
            long[] lossShape = new long[(int) found.dim()];
            for (int axis = 0; axis < lossShape.length; axis++) {
                lossShape[axis] = found.size(axis);
            }
            found.backward(tensor(gradLoss, lossShape), new BoolOptional(), false, new TensorArrayRefOptional());
            return new Outcome(values(found.detach()), values(input.grad()));
        }
    }

    Outcome crossEntropy(double[] logits, long[] shape, long[] targets, long[] rowShape, double[] probabilities,
            double[] classWeights, Reduction reduction, long ignoreIndex, double labelSmoothing, double[] gradLoss) {
        return run(logits, shape, gradLoss, input -> torch.cross_entropy_loss(input,
                probabilities == null ? tensor(targets, rowShape) : tensor(probabilities, shape),
                optional(classWeights, shape[1]), number(reduction), ignoreIndex, labelSmoothing));
    }

    Outcome nll(double[] logProbabilities, long[] shape, long[] targets, long[] rowShape, double[] classWeights,
            Reduction reduction, long ignoreIndex, double[] gradLoss) {
        return run(logProbabilities, shape, gradLoss, input -> torch.nll_loss_nd(input, tensor(targets, rowShape),
                optional(classWeights, shape[1]), number(reduction), ignoreIndex));
    }

    Outcome bce(double[] logits, long[] shape, double[] targets, double[] weights, long[] weightsShape,
            double[] posWeight, long[] posWeightShape, Reduction reduction, double[] gradLoss) {
        return run(logits, shape, gradLoss, input -> torch.binary_cross_entropy_with_logits(input,
                tensor(targets, shape), optional(weights, weightsShape), optional(posWeight, posWeightShape),
                number(reduction)));
    }

    Outcome softmax(double[] logits, long[] shape, int axis, boolean logarithm, double[] gradOutput) {
        return run(logits, shape, gradOutput,
                input -> logarithm ? torch.log_softmax(input, axis) : torch.softmax(input, axis));
    }
}
