package dev.isobit.cuda;

import dev.isobit.AdamGroup;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.Adam;
import dev.isobit.cuda.KernelParams.AdamGroupParams;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Adam and AdamW on a device. */
final class CudaAdam implements AdamKernel {
    private final ChunkedStep step;

    CudaAdam(CudaBackend backend, List<AdamGroup> groups, CudaStream stream) {
        boolean amsgrad = groups.get(0).options().amsgrad();
        List<List<@Nullable Tensor[]>> tensors = groups.stream().map(group -> group.parameters().stream()
                .map(p -> new @Nullable Tensor[] {p.param(), p.grad(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()})
                .toList()).toList();
        step = new ChunkedStep(backend, this, stream, "Adam", backend.module("Adam.on", "adam").function("Adam.on",
                amsgrad ? "adam_step_f32_amsgrad" : "adam_step_f32"), Adam.LAYOUT, AdamGroupParams.LAYOUT, tensors,
                chunks -> backend.launchTable().adamGrid(chunks, amsgrad));
    }

    @Override
    public void step(AdamScalars[] scalars) {
        step.check();
        for (int i = 0; i < scalars.length; i++) {
            write(scalars[i], step.groupParams(i));
        }
        step.launch();
    }

    private static void write(AdamScalars s, MemorySegment to) {
        to.set(ValueLayout.JAVA_FLOAT, AdamGroupParams.W1, s.w1);
        to.set(ValueLayout.JAVA_FLOAT, AdamGroupParams.W2, s.w2);
        to.set(ValueLayout.JAVA_FLOAT, AdamGroupParams.NEG_STEP_SIZE, s.negStepSize);
        to.set(ValueLayout.JAVA_FLOAT, AdamGroupParams.RSQRT_BC2, s.rsqrtBc2);
        to.set(ValueLayout.JAVA_FLOAT, AdamGroupParams.EPS, s.eps);
        to.set(ValueLayout.JAVA_FLOAT, AdamGroupParams.PARAM_DECAY, s.paramDecay);
        to.set(ValueLayout.JAVA_FLOAT, AdamGroupParams.GRAD_DECAY, s.gradDecay);
        to.set(ValueLayout.JAVA_INT, AdamGroupParams.FLAGS, (s.maximize ? Adam.MAXIMIZE : 0)
                | (s.decaysGrad ? Adam.GRAD_DECAY_FLAG : 0) | (s.enabled ? 0 : Adam.DISABLED));
    }

    @Override
    public void close() {
        step.close();
    }
}
