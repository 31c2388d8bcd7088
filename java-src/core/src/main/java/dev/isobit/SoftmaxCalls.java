package dev.isobit;

import dev.isobit.spi.SoftmaxCall;
import dev.isobit.spi.SoftmaxKernel;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What {@link Softmax} and {@link LogSoftmax} have in common: checks, and the call. */
final class SoftmaxCalls implements AutoCloseable {
    private final String operation;
    private final Backend backend;
    private final SoftmaxOptions options;
    private final SoftmaxKernel kernel;
    private final SoftmaxCall call = new SoftmaxCall();
    private final String forwardName;
    private final String gradOutputName;
    private final Operands forwardChecks;
    private final Operands gradientChecks;
    /** Text for messages is made once: a call allocates nothing. */
    private final String dtypes;
    private boolean closed;

    /** @param forwardName what the forward pass writes, such as {@code probabilities} */
    SoftmaxCalls(String operation, boolean logarithm, String forwardName, String gradOutputName, Backend backend,
            SoftmaxOptions options, Stream stream) {
        Objects.requireNonNull(options, "options");
        if (stream.backend() != backend) {
            throw new IllegalArgumentException(operation + ".on: the stream belongs to backend "
                    + stream.backend().name() + ", not to this one, " + backend.name());
        }
        this.operation = operation;
        this.backend = backend;
        this.options = options;
        this.forwardName = forwardName;
        this.gradOutputName = gradOutputName;
        this.kernel = backend.softmaxKernel(logarithm, stream);
        this.forwardChecks = new Operands(operation + "." + forwardName, backend);
        this.gradientChecks = new Operands(operation + ".gradient", backend);
        this.dtypes = Operands.floatTypes(backend) + ", BF16, F16";
    }

    SoftmaxOptions options() {
        return options;
    }

    void forward(Tensor logits, Tensor result) {
        run(forwardChecks, "logits", logits, null, forwardName, result);
    }

    void gradient(Tensor output, Tensor gradOutput, Tensor gradLogits) {
        Objects.requireNonNull(gradOutput, gradOutputName);
        run(gradientChecks, forwardName, output, gradOutput, "gradLogits", gradLogits);
    }

    private void run(Operands checks, String inputName, Tensor input, @Nullable Tensor gradOutput, String resultName,
            Tensor result) {
        Objects.requireNonNull(input, inputName);
        Objects.requireNonNull(result, resultName);
        if (closed) {
            throw new IllegalStateException(operation + " is closed");
        }
        int rank = input.rank();
        int axis = options.axis() < 0 ? rank + options.axis() : options.axis();
        if (axis < 0 || axis >= rank) {
            throw checks.refuse(inputName + " " + input + " has no axis " + options.axis());
        }
        checks.dtype(inputName, input, checks.takesLogits(input.dtype()), dtypes);
        operand(checks, inputName, input, input, false);
        if (gradOutput != null) {
            operand(checks, gradOutputName, gradOutput, input, false);
        }
        operand(checks, resultName, result, input, true);
        mayReplace(checks, resultName, result, inputName, input);
        if (gradOutput != null) {
            mayReplace(checks, resultName, result, gradOutputName, gradOutput);
        }
        if (input.elementCount() == 0) {
            return;
        }
        call.outer = 1;
        call.inner = 1;
        for (int i = 0; i < rank; i++) {
            call.outer *= i < axis ? input.size(i) : 1;
            call.inner *= i > axis ? input.size(i) : 1;
        }
        call.classes = input.size(axis);
        call.input = input;
        call.gradOutput = gradOutput;
        call.result = result;
        try {
            kernel.run(call);
        } finally {
            call.input = null;
            call.gradOutput = null;
            call.result = null;
        }
    }

    private void operand(Operands checks, String name, Tensor tensor, Tensor input, boolean written) {
        boolean fits = tensor.rank() == input.rank();
        for (int i = 0; fits && i < tensor.rank(); i++) {
            fits = tensor.size(i) == input.size(i);
        }
        checks.require(fits, name, tensor, "the shape of the first operand");
        // A float64 backend takes any mix.
        checks.dtype(name, tensor, tensor.dtype() == input.dtype()
                || backend.dtypes().contains(DType.F64) && checks.takesLogits(tensor.dtype()), "one type for all");
        checks.memory(name, tensor, written);
    }

    /** The result lies exactly over an operand of its type, or apart from it. */
    private static void mayReplace(Operands checks, String resultName, Tensor result, String name, Tensor operand) {
        if (!result.startsWith(operand) || result.dtype() != operand.dtype()) {
            checks.disjoint(resultName, result, name, operand);
        }
    }

    @Override
    public void close() {
        closed = true;
        kernel.close();
    }
}
