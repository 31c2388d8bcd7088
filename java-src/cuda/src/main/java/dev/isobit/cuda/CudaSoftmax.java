package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.Softmax;
import dev.isobit.cuda.LaunchTable.SoftmaxVariant;
import dev.isobit.spi.SoftmaxCall;
import dev.isobit.spi.SoftmaxKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Softmax and log-softmax: a launch per call, as kernels/softmax_params.h says. */
final class CudaSoftmax implements SoftmaxKernel, StreamOperation {
    private final CudaDriver driver;
    private final LaunchTable table;
    private final CudaStream stream;
    private final String forwardName;
    private final String gradientName;
    private final ByType<Kernels> byType;
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
        byType = new ByType<>(making, (operation, dtype) -> Kernels.of(backend, operation, dtype));
        ArgumentBlock arguments = new ArgumentBlock(Softmax.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        block.set(ValueLayout.JAVA_INT, Softmax.FLAGS, logarithm ? Softmax.LOG : 0);
    }

    /** The kernels for one type, by variant. */
    private record Kernels(CudaFunction[] forward, CudaFunction[] gradient) {
        static Kernels of(CudaBackend backend, String operation, DType dtype) {
            String suffix = "_" + dtype.name().toLowerCase(Locale.ROOT);
            CudaModule module = backend.module(operation, "softmax" + (dtype == DType.F32 ? "" : suffix));
            return new Kernels(functions(operation, module, "forward" + suffix),
                    functions(operation, module, "grad" + suffix));
        }
    }

    private static CudaFunction[] functions(String operation, CudaModule module, String phase) {
        CudaFunction[] functions = new CudaFunction[SoftmaxVariant.values().length];
        for (SoftmaxVariant variant : SoftmaxVariant.values()) {
            functions[variant.ordinal()] = module.function(operation, "softmax_" + phase + "_" + variant.suffix);
        }
        return functions;
    }

    @Override
    public void run(SoftmaxCall call) {
        boolean isGradient = call.gradOutput != null;
        String operation = isGradient ? gradientName : forwardName;
        stream.admit(operation, this);
        DType dtype = Objects.requireNonNull(call.input).dtype();
        Kernels kernels = byType.get(operation, dtype);
        MemorySegment to = block;
        to.set(ValueLayout.JAVA_LONG, Softmax.INPUT, address(call.input));
        to.set(ValueLayout.JAVA_LONG, Softmax.GRAD_OUTPUT, address(call.gradOutput));
        to.set(ValueLayout.JAVA_LONG, Softmax.RESULT, address(call.result));
        to.set(ValueLayout.JAVA_LONG, Softmax.OUTER, call.outer);
        to.set(ValueLayout.JAVA_LONG, Softmax.CLASSES, call.classes);
        to.set(ValueLayout.JAVA_LONG, Softmax.INNER, call.inner);
        SoftmaxVariant variant = table.softmaxVariant(call.classes, call.inner);
        boolean narrow = dtype != DType.F32;
        CudaFunction function = (isGradient ? kernels.gradient : kernels.forward)[variant.ordinal()];
        int grid = table.softmaxGrid(variant, isGradient, narrow, call.outer, call.classes, call.inner);
        int threads = variant.threads(narrow);
        driver.checkLaunch(operation, function, grid, threads, 0, launcher.launch(function, grid, threads, 0));
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
