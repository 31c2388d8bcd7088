package dev.isobit.bench.libtorch;

import dev.isobit.bench.FirstStep;
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
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.CrossEntropyLossOptions;
import org.bytedeco.pytorch.LossReduction;
import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.SGD;
import org.bytedeco.pytorch.SGDOptions;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorArrayRefOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.kMean;
import org.bytedeco.pytorch.kNone;
import org.jspecify.annotations.Nullable;

/** libtorch through JavaCPP: functional losses with autograd, and the optimizers of its C++ interface. */
public final class LibtorchPeer implements Peer {
    private static final String NAME = "libtorch";

    /** Called by the service loader; loads the libraries. */
    public LibtorchPeer() {
        torch.get_num_threads();
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String description() {
        return "libtorch 2.10.0 through JavaCPP 1.5.13, eager. Losses: functional cross_entropy and "
                + "binary_cross_entropy_with_logits with pos_weight, then backward(): log-softmax, loss and their gradients are "
                + "operators of their own. Optimizers: torch::optim::AdamW and SGD with momentum, an operator a term, PyTorch's "
                + "semantics; they start without moments, and their first step is compared. As many threads as Isobit "
                + "(set_num_threads)";
    }

    @Override
    public @Nullable Call prepare(Problem problem) {
        torch.set_num_threads(problem.threads());
        return switch (problem.operation()) {
            case "cross-entropy", "bce" -> new LossCall(problem);
            case "adamw", "sgd" -> new OptimizerCall(problem);
            default -> null;
        };
    }

    @Override
    public void close() {
        // the libraries stay loaded
    }

    /** A copy of native memory as a tensor of torch's own. */
    private static Tensor copied(MemorySegment from, torch.ScalarType type, long... shape) {
        try (var _ = new PointerScope()) {
            Tensor copy = torch.from_blob(new At(from.address()), shape, new TensorOptions(type)).clone();
            return copy.retainReference();
        }
    }

    private static Tensor copied(MemorySegment from, long... shape) {
        return copied(from, torch.ScalarType.Float, shape);
    }

    private static float[] values(Tensor from) {
        float[] values = new float[Math.toIntExact(from.numel())];
        from.data_ptr_float().get(values);
        return values;
    }

    private static void read(Tensor from, MemorySegment to) {
        MemorySegment.copy(values(from), 0, to, ValueLayout.JAVA_FLOAT, 0, Math.toIntExact(from.numel()));
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
            try (var _ = new PointerScope()) {
                logits.mutable_grad().put(new Tensor()); // a gradient that is there would be added to
                Tensor found = crossEntropy != null
                        ? torch.cross_entropy(logits, targets, crossEntropy)
                        : torch.binary_cross_entropy_with_logits(logits, targets, bce);
                if (ones == null) {
                    found.backward();
                } else {
                    found.backward(ones, new BoolOptional(), false, new TensorArrayRefOptional());
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
            try (var _ = new PointerScope()) {
                LibtorchPeer.read(output.equals("loss") && loss != null ? loss : logits.grad(), to);
            }
            return true;
        }

        @Override
        public void close() {
            logits.close();
            targets.close();
            if (ones != null) {
                ones.close();
            }
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
            for (int i = 0; i < tensors; i++) {
                FirstStep.check(NAME, problem, scalars.getOrDefault("eps", 0.0), size * i, values(parameters.get(i)));
            }
        }

        @Override
        public void run() {
            optimizer.step().close();
        }

        /** What it keeps is of its own moments. */
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
