package dev.isobit.cuda;

import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.Softmax;
import dev.isobit.cuda.LaunchTable.SoftmaxVariant;
import dev.isobit.spi.SoftmaxCall;
import dev.isobit.spi.SoftmaxKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Softmax and log-softmax: a launch per call, as kernels/softmax_params.h says. */
final class CudaSoftmax implements SoftmaxKernel, StreamOperation {
    private final CudaDriver driver;
    private final LaunchTable table;
    private final CudaStream stream;
    private final String forwardName;
    private final String gradientName;
    /** By variant. */
    private final CudaFunction[] forward;
    private final CudaFunction[] gradient;
    private final MemorySegment block;
    private final Launcher launcher;
    private boolean closed;

    CudaSoftmax(CudaBackend backend, boolean logarithm, CudaStream stream) {
        this.driver = backend.driver();
        this.table = backend.launchTable();
        this.stream = stream;
        String making = logarithm ? "LogSoftmax.on" : "Softmax.on";
        forwardName = logarithm ? "LogSoftmax.logProbabilities" : "Softmax.probabilities";
        gradientName = logarithm ? "LogSoftmax.gradient" : "Softmax.gradient";
        CudaModule module = backend.module(making, "softmax");
        forward = kernels(making, module, "forward");
        gradient = kernels(making, module, "grad");
        ArgumentBlock arguments = new ArgumentBlock(Softmax.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        block.set(ValueLayout.JAVA_INT, Softmax.FLAGS, logarithm ? Softmax.LOG : 0);
    }

    private static CudaFunction[] kernels(String making, CudaModule module, String phase) {
        CudaFunction[] functions = new CudaFunction[SoftmaxVariant.values().length];
        for (SoftmaxVariant variant : SoftmaxVariant.values()) {
            functions[variant.ordinal()] = module.function(making, "softmax_" + phase + "_f32_" + variant.suffix);
        }
        return functions;
    }

    @Override
    public void run(SoftmaxCall call) {
        boolean isGradient = call.gradOutput != null;
        String operation = isGradient ? gradientName : forwardName;
        stream.admit(operation, this);
        MemorySegment to = block;
        to.set(ValueLayout.JAVA_LONG, Softmax.INPUT, address(call.input));
        to.set(ValueLayout.JAVA_LONG, Softmax.GRAD_OUTPUT, address(call.gradOutput));
        to.set(ValueLayout.JAVA_LONG, Softmax.RESULT, address(call.result));
        to.set(ValueLayout.JAVA_LONG, Softmax.OUTER, call.outer);
        to.set(ValueLayout.JAVA_LONG, Softmax.CLASSES, call.classes);
        to.set(ValueLayout.JAVA_LONG, Softmax.INNER, call.inner);
        SoftmaxVariant variant = table.softmaxVariant(call.classes, call.inner);
        CudaFunction function = (isGradient ? gradient : forward)[variant.ordinal()];
        int grid = table.softmaxGrid(variant, isGradient, call.outer, call.classes, call.inner);
        driver.checkLaunch(operation, function, grid, variant.threads, 0,
                launcher.launch(function, grid, variant.threads, 0));
    }

    private static long address(@Nullable Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    @Override
    public boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        closed = true;
    }
}
