package dev.isobit.bench.tensorflow;

import dev.isobit.bench.Peer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.TensorFlow;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.VarHandleOp;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TType;

/** TensorFlow Java: a graph in a session, as one trains with it. */
public final class TensorFlowPeer implements Peer {
    /** Called by the service loader; loads the library. */
    public TensorFlowPeer() {
        TensorFlow.version();
    }

    @Override
    public String name() {
        return "tensorflow";
    }

    @Override
    public String description() {
        return "TensorFlow Java 1.1.0 with TensorFlow " + TensorFlow.version() + ", a graph in a session. Cross-entropy: "
                + "SparseSoftmaxCrossEntropyWithLogits (loss and gradient in one operation), mean, the mean's factor. BCE: the formula of "
                + "its weighted_cross_entropy_with_logits, an operation a term, gradient by tf.gradients. Optimizers: "
                + "ResourceApplyAdam (fused) after decay by two operations, its eps given times sqrt(1 - beta2^t), which makes it "
                + "PyTorch's; ResourceApplyMomentum (fused) after decay by two. As many threads within an operation as Isobit, one "
                + "between them";
    }

    @Override
    public @Nullable Call prepare(Problem problem) {
        return switch (problem.operation()) {
            case "cross-entropy", "bce" -> new LossCall(problem);
            case "adamw", "sgd" -> new OptimizerCall(problem);
            default -> null;
        };
    }

    @Override
    public void close() {
        // the library stays loaded
    }

    private static TFloat32 floats(MemorySegment from, long... shape) {
        return TFloat32.tensorOf(Shape.of(shape), DataBuffers.of(from.toArray(ValueLayout.JAVA_FLOAT)));
    }

    private static void copy(Tensor from, long first, MemorySegment to) {
        TFloat32 tensor = (TFloat32) from;
        float[] values = new float[Math.toIntExact(tensor.size())];
        tensor.copyTo(DataBuffers.of(values));
        MemorySegment.copy(values, 0, to, ValueLayout.JAVA_FLOAT, 4 * first, values.length);
    }

    /** A graph, what it is fed, and its session. */
    private abstract static class GraphCall implements Call {
        final Problem problem;
        final Ops tf;
        private final Graph graph = new Graph();
        private final Map<Operand<?>, Tensor> fed = new LinkedHashMap<>();
        private @Nullable Session session;

        GraphCall(Problem problem) {
            this.problem = problem;
            tf = Ops.create(graph);
        }

        final <T extends TType> Placeholder<T> fed(Class<T> type, T value) {
            Placeholder<T> made = tf.placeholder(type, Placeholder.shape(value.shape()));
            fed.put(made, value);
            return made;
        }

        /** Once the graph is whole. */
        final Session.Runner runner() {
            if (session == null) {
                session = new Session(graph, ConfigProto.newBuilder().setIntraOpParallelismThreads(problem.threads())
                        .setInterOpParallelismThreads(1).build());
            }
            Session.Runner runner = session.runner();
            fed.forEach(runner::feed);
            return runner;
        }

        @Override
        public void close() {
            fed.values().forEach(Tensor::close);
            if (session != null) {
                session.close();
            }
            graph.close();
        }
    }

    private static final class LossCall extends GraphCall {
        private final Operand<TFloat32> loss;
        private final Operand<TFloat32> gradLogits;
        private @Nullable Result last;

        LossCall(Problem problem) {
            super(problem);
            long rows = problem.shape().get(0);
            long columns = problem.shape().get(1);
            Map<String, MemorySegment> inputs = problem.inputs();
            Operand<TFloat32> logits = fed(TFloat32.class, floats(inputs.get("logits"), rows, columns));
            if (problem.operation().equals("bce")) {
                Operand<TFloat32> targets = fed(TFloat32.class, floats(inputs.get("targets"), rows, columns));
                Operand<TFloat32> posWeight = fed(TFloat32.class, floats(inputs.get("posWeight"), columns));
                Operand<TFloat32> one = tf.constant(1f);
                Operand<TFloat32> factor = tf.math.add(one, tf.math.mul(tf.math.sub(posWeight, one), targets));
                Operand<TFloat32> soft = tf.math.add(tf.math.log1p(tf.math.exp(tf.math.neg(tf.math.abs(logits)))),
                        tf.nn.relu(tf.math.neg(logits)));
                Operand<TFloat32> each = tf.math.add(tf.math.mul(tf.math.sub(one, targets), logits),
                        tf.math.mul(factor, soft));
                loss = problem.mean() ? tf.math.mean(each, tf.constant(new int[] {0, 1})) : each;
                gradLogits = tf.gradients(loss, List.of(logits)).dy(0);
            } else {
                var targets = fed(TInt64.class, TInt64.tensorOf(Shape.of(rows),
                        DataBuffers.of(inputs.get("targets").toArray(ValueLayout.JAVA_LONG))));
                var both = tf.nn.sparseSoftmaxCrossEntropyWithLogits(logits, targets);
                loss = problem.mean() ? tf.math.mean(both.loss(), tf.constant(0)) : both.loss();
                gradLogits =
                        problem.mean() ? tf.math.mul(both.backprop(), tf.constant(1f / rows)) : both.backprop();
            }
        }

        @Override
        public void run() {
            if (last != null) {
                last.close();
            }
            last = runner().fetch(loss).fetch(gradLogits).run();
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            if (last != null) {
                copy(last.get(output.equals("loss") ? 0 : 1), 0, to);
            }
            return last != null;
        }

        @Override
        public void close() {
            if (last != null) {
                last.close();
            }
            super.close();
        }
    }

    private static final class OptimizerCall extends GraphCall {
        private final Map<String, List<VarHandleOp>> variables = new LinkedHashMap<>();
        private final Placeholder<TFloat32> power1;
        private final Placeholder<TFloat32> power2;
        private final Placeholder<TFloat32> eps;
        private final List<Op> steps = new ArrayList<>();
        private final Map<String, Double> scalars;
        private long step;

        OptimizerCall(Problem problem) {
            super(problem);
            scalars = problem.scalars();
            step = scalars.get("step").longValue();
            power1 = tf.placeholder(TFloat32.class);
            power2 = tf.placeholder(TFloat32.class);
            eps = tf.placeholder(TFloat32.class);
            List<Op> assignments = new ArrayList<>();
            List<TFloat32> values = new ArrayList<>();
            List<Placeholder<TFloat32>> starts = new ArrayList<>();
            List<Placeholder<TFloat32>> grads = new ArrayList<>();
            long size = problem.shape().get(1);
            for (long i = 0; i < problem.shape().get(0); i++) {
                long first = i;
                problem.inputs().forEach((name, all) -> {
                    TFloat32 value = floats(all.asSlice(4 * size * first, 4 * size), size);
                    if (name.equals("grad")) {
                        grads.add(fed(TFloat32.class, value));
                    } else {
                        // Handles of one name would be one variable.
                        VarHandleOp made =
                                tf.varHandleOp(TFloat32.class, Shape.of(size), VarHandleOp.sharedName(name + first));
                        Placeholder<TFloat32> start = tf.placeholder(TFloat32.class);
                        variables.computeIfAbsent(name, key -> new ArrayList<>()).add(made);
                        assignments.add(tf.assignVariableOp(made, start));
                        values.add(value);
                        starts.add(start);
                    }
                });
            }
            for (int i = 0; i < grads.size(); i++) {
                steps.add(problem.operation().equals("adamw") ? adamW(i, grads.get(i)) : sgd(i, grads.get(i)));
            }
            Session.Runner runner = runner();
            for (int i = 0; i < starts.size(); i++) {
                runner.feed(starts.get(i), values.get(i)).addTarget(assignments.get(i));
            }
            runner.run().close();
            values.forEach(Tensor::close);
        }

        private Operand<TFloat32> scalar(String name) {
            return tf.constant(scalars.get(name).floatValue());
        }

        private Op adamW(int i, Operand<TFloat32> grad) {
            VarHandleOp param = variables.get("param").get(i);
            Operand<TFloat32> decay = tf.constant((float) (scalars.get("lr") * scalars.get("weightDecay")));
            Op decayed = tf.assignSubVariableOp(param, tf.math.mul(tf.readVariableOp(param, TFloat32.class), decay));
            return tf.withControlDependencies(decayed).train.resourceApplyAdam(param, variables.get("expAvg").get(i),
                    variables.get("expAvgSq").get(i), power1, power2, scalar("lr"), scalar("beta1"), scalar("beta2"),
                    eps, grad);
        }

        private Op sgd(int i, Operand<TFloat32> grad) {
            VarHandleOp param = variables.get("param").get(i);
            Operand<TFloat32> decayed = tf.math.add(grad,
                    tf.math.mul(tf.readVariableOp(param, TFloat32.class), scalar("weightDecay")));
            return tf.train.resourceApplyMomentum(param, variables.get("momentumBuffer").get(i), scalar("lr"), decayed,
                    scalar("momentum"));
        }

        @Override
        public void run() {
            Session.Runner runner = runner();
            List<TFloat32> fedHere = new ArrayList<>();
            if (problem.operation().equals("adamw")) {
                double rest = 1 - Math.pow(scalars.get("beta2"), step);
                feed(runner, fedHere, power1, Math.pow(scalars.get("beta1"), step));
                feed(runner, fedHere, power2, 1 - rest);
                feed(runner, fedHere, eps, scalars.get("eps") * Math.sqrt(rest));
            }
            steps.forEach(runner::addTarget);
            runner.run().close();
            fedHere.forEach(Tensor::close);
            step++;
        }

        private static void feed(Session.Runner runner, List<TFloat32> kept, Operand<TFloat32> to, double value) {
            TFloat32 tensor = TFloat32.scalarOf((float) value);
            kept.add(tensor);
            runner.feed(to, tensor);
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            List<VarHandleOp> from = variables.get(output);
            Session.Runner runner = runner();
            for (VarHandleOp variable : from) {
                runner.fetch(tf.readVariableOp(variable, TFloat32.class));
            }
            try (Result result = runner.run()) {
                for (int i = 0; i < from.size(); i++) {
                    copy(result.get(i), i * problem.shape().get(1), to);
                }
            }
            return true;
        }
    }
}
