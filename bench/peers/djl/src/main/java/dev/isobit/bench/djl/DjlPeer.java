package dev.isobit.bench.djl;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import dev.isobit.bench.FirstStep;
import dev.isobit.bench.Peer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** DJL with its PyTorch engine: its losses under a gradient collector, and its optimizers. */
public final class DjlPeer implements Peer {
    private static final String NAME = "djl";

    private final Engine engine = Engine.getEngine("PyTorch");

    /** Called by the service loader; loads the engine. */
    public DjlPeer() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String description() {
        return "DJL 0.35.1 with PyTorch " + engine.getVersion() + ", eager. Cross-entropy: SoftmaxCrossEntropyLoss, which "
                + "is a mean, under a GradientCollector, gradients zeroed before. BCE: its loss has no posWeight, so that of its NDArray "
                + "operations, an operator a term. Optimizers: AdamW (one native call; TensorFlow's place of eps) and Sgd with "
                + "momentum; they start without moments, and their first step is compared. As many threads as Isobit "
                + "(setNumThreads)";
    }

    @Override
    public @Nullable Call prepare(Problem problem) {
        JniUtils.setNumThreads(problem.threads());
        return switch (problem.operation()) {
            case "cross-entropy", "bce" -> new LossCall(engine, problem);
            case "adamw", "sgd" -> new OptimizerCall(problem);
            default -> null;
        };
    }

    @Override
    public void close() {
        // the libraries stay loaded
    }

    private static NDArray floats(NDManager manager, MemorySegment from, long... shape) {
        return manager.create(from.toArray(ValueLayout.JAVA_FLOAT), new Shape(shape));
    }

    private static final class LossCall implements Call {
        private final Engine engine;
        private final Problem problem;
        private final NDManager manager = NDManager.newBaseManager();
        private final NDArray logits;
        private final NDArray targets;
        private final @Nullable NDArray posWeight;
        private final Loss crossEntropy = Loss.softmaxCrossEntropyLoss();
        private @Nullable NDArray kept;

        LossCall(Engine engine, Problem problem) {
            this.engine = engine;
            this.problem = problem;
            long rows = problem.shape().get(0);
            long columns = problem.shape().get(1);
            Map<String, MemorySegment> inputs = problem.inputs();
            logits = floats(manager, inputs.get("logits"), rows, columns);
            logits.setRequiresGradient(true);
            boolean bce = problem.operation().equals("bce");
            targets = bce
                    ? floats(manager, inputs.get("targets"), rows, columns)
                    : manager.create(inputs.get("targets").toArray(ValueLayout.JAVA_LONG), new Shape(rows));
            posWeight = bce ? floats(manager, inputs.get("posWeight"), columns) : null;
        }

        @Override
        public void run() {
            try (NDManager inner = manager.newSubManager(); var collector = engine.newGradientCollector()) {
                logits.attach(inner); // what is computed goes with it when this run ends
                targets.attach(inner);
                try (NDArray gradient = logits.getGradient()) {
                    gradient.subi(gradient);
                }
                NDArray found = loss();
                collector.backward(found);
                if (kept != null) {
                    kept.close();
                }
                kept = found.stopGradient();
                kept.attach(manager);
                logits.attach(manager);
                targets.attach(manager);
            }
        }

        private NDArray loss() {
            NDArray weight = posWeight;
            if (weight == null) {
                return crossEntropy.evaluate(new NDList(targets), new NDList(logits));
            }
            // As SigmoidBinaryCrossEntropyLoss has it, and PyTorch's factor of the positives.
            NDArray factor = targets.mul(weight.sub(1)).add(1);
            NDArray soft = Activation.softPlus(logits.abs().neg()).add(Activation.relu(logits.neg()));
            NDArray each = logits.sub(targets.mul(logits)).add(factor.mul(soft));
            return problem.mean() ? each.mean() : each;
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            boolean meansOnly = !problem.mean() && problem.operation().equals("cross-entropy");
            if (output.equals("loss")) {
                if (kept == null || meansOnly) {
                    return false;
                }
                copy(kept, 1, to);
                return true;
            }
            long rows = problem.shape().get(0);
            try (NDArray gradient = logits.getGradient()) {
                copy(gradient, meansOnly ? rows : 1, to);
            }
            // Powers of two make no error.
            return !meansOnly || Long.bitCount(rows) == 1;
        }

        private static void copy(NDArray from, long factor, MemorySegment to) {
            float[] values = from.toFloatArray();
            for (int i = 0; i < values.length; i++) {
                to.setAtIndex(ValueLayout.JAVA_FLOAT, i, factor * values[i]);
            }
        }

        @Override
        public void close() {
            manager.close();
        }
    }

    private static final class OptimizerCall implements Call {
        private final NDManager manager = NDManager.newBaseManager();
        private final List<NDArray> params = new ArrayList<>();
        private final List<NDArray> grads = new ArrayList<>();
        private final Optimizer optimizer;

        OptimizerCall(Problem problem) {
            long tensors = problem.shape().get(0);
            long size = problem.shape().get(1);
            for (long i = 0; i < tensors; i++) {
                params.add(floats(manager, problem.inputs().get("param").asSlice(4 * size * i, 4 * size), size));
                grads.add(floats(manager, problem.inputs().get("grad").asSlice(4 * size * i, 4 * size), size));
            }
            Map<String, Double> scalars = problem.scalars();
            Tracker lr = Tracker.fixed(scalars.get("lr").floatValue());
            float decay = scalars.get("weightDecay").floatValue();
            double eps = 0;
            if (problem.operation().equals("adamw")) {
                optimizer = Optimizer.adamW().optLearningRateTracker(lr).optBeta1(scalars.get("beta1").floatValue())
                        .optBeta2(scalars.get("beta2").floatValue()).optEpsilon(scalars.get("eps").floatValue())
                        .optWeightDecays(decay).build();
                eps = scalars.get("eps") / Math.sqrt(1 - scalars.get("beta2"));
            } else {
                optimizer = Optimizer.sgd().setLearningRateTracker(lr)
                        .optMomentum(scalars.get("momentum").floatValue()).optWeightDecays(decay).build();
            }
            run();
            for (int i = 0; i < tensors; i++) {
                FirstStep.check(NAME, problem, eps, size * i, params.get(i).toFloatArray());
            }
        }

        @Override
        public void run() {
            for (int i = 0; i < params.size(); i++) {
                optimizer.update("t" + i, params.get(i), grads.get(i));
            }
        }

        /** What it keeps is of its own moments. */
        @Override
        public boolean read(String output, MemorySegment to) {
            return false;
        }

        @Override
        public void close() {
            manager.close();
        }
    }
}
