package dev.isobit.bench.peers;

import dev.isobit.bench.Peer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AdamW;
import org.bytedeco.pytorch.AdamWOptions;
import org.bytedeco.pytorch.BCEWithLogitsLossOptions;
import org.bytedeco.pytorch.CrossEntropyLossOptions;
import org.bytedeco.pytorch.LossReduction;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.kMean;
import org.bytedeco.pytorch.kNone;
import org.jspecify.annotations.Nullable;

/**
 * libtorch through JavaCPP: losses with autograd, the optimizers of its C++ interface, which is what there is in Java. They
 * keep their moments to themselves, start from zero and are compared with float64 after their first step here.
 */
public final class TorchPeer implements Peer {
    private static final double TOLERANCE = 1e-6;

    /** Called by the service loader; loads the libraries. */
    public TorchPeer() {
        torch.get_num_threads();
    }

    @Override
    public String name() {
        return "libtorch";
    }

    @Override
    public String description() {
        return "libtorch 2.10.0 through JavaCPP 1.5.13; losses: functional cross_entropy and binary_cross_entropy_with_logits, "
                + "then backward(), eager, forward and gradient not fused; torch::optim::AdamW and SGD (momentum), not fused; "
                + "as many threads as Isobit";
    }

    @Override
    public @Nullable Call prepare(Problem problem) {
        torch.set_num_threads(problem.threads());
        return switch (problem.operation()) {
            case "cross-entropy", "bce" -> new LossCall(problem);
            default -> new OptimizerCall(problem);
        };
    }

    @Override
    public void close() {
        // the libraries stay loaded
    }

    /** A copy of native memory as a tensor of torch's own. */
    private static Tensor copied(MemorySegment from, torch.ScalarType type, long... shape) {
        try (var scope = new PointerScope()) {
            Pointer address = new At(from.address());
            Tensor copy = torch.from_blob(address, shape, new TensorOptions(type)).clone();
            return copy.retainReference();
        }
    }

    private static Tensor copied(MemorySegment from, long... shape) {
        return copied(from, torch.ScalarType.Float, shape);
    }

    private static void read(Tensor from, MemorySegment to) {
        MemorySegment view = MemorySegment.ofAddress(from.data_ptr().address()).reinterpret(to.byteSize());
        to.copyFrom(view);
    }

    /** An address that we were given. */
    private static final class At extends Pointer {
        At(long address) {
            super((Pointer) null);
            this.address = address;
        }
    }

    private static final class LossCall implements Call {
        private final Tensor logits;
        private final Tensor targets;
        private final @Nullable Tensor ones;
        private final @Nullable CrossEntropyLossOptions crossEntropy;
        private final @Nullable BCEWithLogitsLossOptions bce;
        private @Nullable Tensor loss;

        LossCall(Problem problem) {
            long rows = problem.shape().get(0);
            long columns = problem.shape().get(1);
            logits = copied(problem.inputs().get("logits"), rows, columns);
            logits.set_requires_grad(true);
            LossReduction reduction =
                    problem.mean() ? new LossReduction(new kMean()) : new LossReduction(new kNone());
            if (problem.operation().equals("bce")) {
                targets = copied(problem.inputs().get("targets"), rows, columns);
                bce = new BCEWithLogitsLossOptions();
                bce.reduction().put(reduction);
                bce.pos_weight().put(copied(problem.inputs().get("posWeight"), columns));
                crossEntropy = null;
                ones = problem.mean() ? null : torch.ones(rows, columns);
            } else {
                targets = copied(problem.inputs().get("targets"), torch.ScalarType.Long, rows);
                crossEntropy = new CrossEntropyLossOptions();
                crossEntropy.reduction().put(reduction);
                bce = null;
                ones = problem.mean() ? null : torch.ones(rows);
            }
        }

        @Override
        public void run() {
            try (var scope = new PointerScope()) {
                logits.mutable_grad().put(new Tensor()); // a gradient that is there would be added to
                Tensor found = crossEntropy != null
                        ? torch.cross_entropy(logits, targets, crossEntropy)
                        : torch.binary_cross_entropy_with_logits(logits, targets, bce);
                if (ones == null) {
                    found.backward();
                } else {
                    found.backward(ones, new org.bytedeco.pytorch.BoolOptional(), false,
                            new org.bytedeco.pytorch.TensorArrayRefOptional());
                }
                Tensor before = loss;
                loss = found.detach().retainReference();
                if (before != null) {
                    before.close();
                }
            }
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            if (output.equals("loss") && loss != null) {
                TorchPeer.read(loss, to);
            } else {
                TorchPeer.read(logits.grad(), to);
            }
            return true;
        }

        @Override
        public void close() {
            logits.close();
            targets.close();
            if (loss != null) {
                loss.close();
            }
        }
    }

    private static final class OptimizerCall implements Call {
        private final List<Tensor> parameters = new ArrayList<>();
        private final Optimizer optimizer;

        OptimizerCall(Problem problem) {
            long tensors = problem.shape().get(0);
            long size = problem.shape().get(1);
            for (long i = 0; i < tensors; i++) {
                Tensor parameter = copied(problem.inputs().get("param").asSlice(4 * size * i, 4 * size), size);
                parameter.set_requires_grad(true);
                parameter.mutable_grad().put(copied(problem.inputs().get("grad").asSlice(4 * size * i, 4 * size), size));
                parameters.add(parameter);
            }
            var scalars = problem.scalars();
            var vector = new TensorVector(parameters.toArray(Tensor[]::new));
            if (problem.operation().equals("adamw")) {
                var options = new AdamWOptions(scalars.get("lr"));
                options.betas().put(0, scalars.get("beta1")).put(1, scalars.get("beta2"));
                options.eps().put(scalars.get("eps"));
                options.weight_decay().put(scalars.get("weightDecay"));
                optimizer = new AdamW(vector, options);
            } else {
                var options = new SGDOptions(scalars.get("lr"));
                options.momentum().put(scalars.get("momentum"));
                options.weight_decay().put(scalars.get("weightDecay"));
                optimizer = new SGD(vector, options);
            }
            run();
            check(problem, size);
        }

        /** From no moments, both have a closed form. */
        private void check(Problem problem, long size) {
            var scalars = problem.scalars();
            double lr = scalars.get("lr");
            double decay = scalars.get("weightDecay");
            for (int i = 0; i < parameters.size(); i++) {
                MemorySegment found =
                        MemorySegment.ofAddress(parameters.get(i).data_ptr().address()).reinterpret(4 * size);
                for (long j = 0; j < size; j++) {
                    double p = problem.inputs().get("param").getAtIndex(ValueLayout.JAVA_FLOAT, size * i + j);
                    double g = problem.inputs().get("grad").getAtIndex(ValueLayout.JAVA_FLOAT, size * i + j);
                    double expected = problem.operation().equals("adamw")
                            ? p * (1 - lr * decay) - lr * g / (Math.abs(g) + scalars.get("eps"))
                            : p - lr * (g + decay * p);
                    double actual = found.getAtIndex(ValueLayout.JAVA_FLOAT, j);
                    if (!(Math.abs(actual - expected) <= TOLERANCE)) {
                        throw new IllegalStateException("libtorch, " + problem.operation() + ": element " + j + " of tensor "
                                + i + " is " + actual + " after one step, not " + expected);
                    }
                }
            }
        }

        @Override
        public void run() {
            optimizer.step().close();
        }

        /** What it keeps is in its own moments' terms. */
        @Override
        public boolean read(String output, MemorySegment to) {
            return false;
        }

        @Override
        public void close() {
            optimizer.close();
            parameters.forEach(Tensor::close);
        }
    }
}
