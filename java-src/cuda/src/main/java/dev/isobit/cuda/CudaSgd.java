package dev.isobit.cuda;

import dev.isobit.SgdGroup;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.Sgd;
import dev.isobit.cuda.KernelParams.SgdGroupParams;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** SGD on a device. */
final class CudaSgd implements SgdKernel {
    private final ChunkedStep step;

    CudaSgd(CudaBackend backend, List<SgdGroup> groups, CudaStream stream) {
        List<List<@Nullable Tensor[]>> tensors = groups.stream().map(group -> group.parameters().stream()
                .map(p -> new @Nullable Tensor[] {p.param(), p.grad(), p.momentumBuffer()}).toList()).toList();
        step = new ChunkedStep(backend, this, stream, "Sgd",
                backend.module("Sgd.on", "sgd").function("Sgd.on", "sgd_step_f32"), Sgd.LAYOUT, SgdGroupParams.LAYOUT,
                tensors, chunks -> backend.launchTable().sgdGrid(chunks));
    }

    @Override
    public void step(SgdScalars[] scalars) {
        step.check();
        for (int i = 0; i < scalars.length; i++) {
            write(scalars[i], step.groupParams(i));
        }
        step.launch();
    }

    private static void write(SgdScalars s, MemorySegment to) {
        to.set(ValueLayout.JAVA_FLOAT, SgdGroupParams.NEG_LR, s.negLr);
        to.set(ValueLayout.JAVA_FLOAT, SgdGroupParams.MOMENTUM, s.momentum);
        to.set(ValueLayout.JAVA_FLOAT, SgdGroupParams.GRAD_SHARE, s.gradShare);
        to.set(ValueLayout.JAVA_FLOAT, SgdGroupParams.WEIGHT_DECAY, s.weightDecay);
        to.set(ValueLayout.JAVA_INT, SgdGroupParams.FLAGS,
                (s.maximize ? Sgd.MAXIMIZE : 0) | (s.decays ? Sgd.WEIGHT_DECAY_FLAG : 0)
                        | (s.nesterov ? Sgd.NESTEROV : 0) | (s.first ? Sgd.FIRST : 0)
                        | (s.enabled ? 0 : Sgd.DISABLED));
    }

    @Override
    public void close() {
        step.close();
    }
}
