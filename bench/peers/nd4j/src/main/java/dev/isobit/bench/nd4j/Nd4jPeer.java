package dev.isobit.bench.nd4j;

import dev.isobit.bench.Peer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.CustomOp;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.api.ops.impl.updaters.AdamUpdater;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J: the native operations that SameDiff and its updaters run. */
public final class Nd4jPeer implements Peer {
    private static final String CROSS_ENTROPY = "sparse_softmax_cross_entropy_loss_with_logits";

    /** Called by the service loader; loads the libraries. */
    public Nd4jPeer() {
        Nd4j.getExecutioner();
    }

    @Override
    public String name() {
        return "nd4j";
    }

    @Override
    public String description() {
        return "ND4J 1.0.0-M2.1. Cross-entropy: " + CROSS_ENTROPY + ", its gradient, and the mean's factor, three operators. "
                + "BCE: not offered (weighted_cross_entropy_with_logits has no gradient, sigm_cross_entropy_loss no posWeight). "
                + "Optimizers over one flat array: AdamUpdater, decay and subtraction, three operators, its eps given times "
                + "sqrt(1 - beta2^t), which makes it PyTorch's; SGD: momentum and decay by operations in place. OMP_NUM_THREADS is "
                + "the number of threads";
    }

    @Override
    public @Nullable Call prepare(Problem problem) {
        return switch (problem.operation()) {
            case "cross-entropy" -> new CrossEntropyCall(problem);
            case "adamw" -> new AdamCall(problem);
            case "sgd" -> new SgdCall(problem);
            default -> null;
        };
    }

    @Override
    public void close() {
        // the libraries stay loaded
    }

    /** Named arrays. */
    private abstract static class ArraysCall implements Call {
        final Problem problem;
        final Map<String, INDArray> arrays = new LinkedHashMap<>();

        ArraysCall(Problem problem) {
            this.problem = problem;
        }

        final INDArray input(String name, long... shape) {
            INDArray made = Nd4j.create(problem.inputs().get(name).toArray(ValueLayout.JAVA_FLOAT), shape);
            arrays.put(name, made);
            return made;
        }

        final INDArray made(String name, long... shape) {
            INDArray made = Nd4j.create(DataType.FLOAT, shape);
            arrays.put(name, made);
            return made;
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            float[] values = arrays.get(output).dup('c').data().asFloat();
            MemorySegment.copy(values, 0, to, ValueLayout.JAVA_FLOAT, 0, Math.toIntExact(to.byteSize() / 4));
            return true;
        }

        @Override
        public void close() {
            arrays.values().forEach(INDArray::close);
        }
    }

    private static final class CrossEntropyCall extends ArraysCall {
        private final long rows = problem.shape().get(0);
        private final INDArray rowLoss = made("loss", rows);
        private final INDArray gradLogits = made("gradLogits", rows, problem.shape().get(1));
        private final CustomOp forward;
        private final CustomOp backward;
        private float mean;

        CrossEntropyCall(Problem problem) {
            super(problem);
            INDArray logits = input("logits", rows, problem.shape().get(1));
            INDArray targets = Nd4j.createFromArray(problem.inputs().get("targets").toArray(ValueLayout.JAVA_LONG));
            arrays.put("targets", targets);
            forward = DynamicCustomOp.builder(CROSS_ENTROPY).addInputs(targets, logits).addOutputs(rowLoss).build();
            backward = DynamicCustomOp.builder(CROSS_ENTROPY + "_grad").addInputs(targets, logits)
                    .addOutputs(gradLogits).build();
        }

        @Override
        public void run() {
            Nd4j.getExecutioner().exec(forward);
            Nd4j.getExecutioner().exec(backward);
            if (problem.mean()) {
                mean = rowLoss.meanNumber().floatValue();
                gradLogits.divi(rows);
            }
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            if (output.equals("loss") && problem.mean()) {
                to.set(ValueLayout.JAVA_FLOAT, 0, mean);
                return true;
            }
            return super.read(output, to);
        }
    }

    private static final class AdamCall extends ArraysCall {
        private final INDArray param = input("param", problem.elements());
        private final INDArray grad = input("grad", problem.elements());
        private final INDArray expAvg = input("expAvg", problem.elements());
        private final INDArray expAvgSq = input("expAvgSq", problem.elements());
        private final INDArray update = made("update", problem.elements());
        private int step = problem.scalars().get("step").intValue();

        AdamCall(Problem problem) {
            super(problem);
        }

        @Override
        public void run() {
            Map<String, Double> scalars = problem.scalars();
            double lr = scalars.get("lr");
            double beta2 = scalars.get("beta2");
            double eps = scalars.get("eps") * Math.sqrt(1 - Math.pow(beta2, step));
            Nd4j.getExecutioner().exec(new AdamUpdater(grad, expAvgSq, expAvg, update, expAvgSq, expAvg, lr,
                    scalars.get("beta1"), beta2, eps, step - 1));
            param.muli(1 - lr * scalars.get("weightDecay"));
            param.subi(update);
            step++;
        }
    }

    private static final class SgdCall extends ArraysCall {
        private final INDArray param = input("param", problem.elements());
        private final INDArray grad = input("grad", problem.elements());
        private final INDArray momentumBuffer = input("momentumBuffer", problem.elements());
        private final INDArray scratch = made("scratch", problem.elements());

        SgdCall(Problem problem) {
            super(problem);
        }

        @Override
        public void run() {
            Map<String, Double> scalars = problem.scalars();
            param.muli(scalars.get("weightDecay"), scratch);
            scratch.addi(grad);
            momentumBuffer.muli(scalars.get("momentum"));
            momentumBuffer.addi(scratch);
            momentumBuffer.muli(scalars.get("lr"), scratch);
            param.subi(scratch);
        }
    }
}
