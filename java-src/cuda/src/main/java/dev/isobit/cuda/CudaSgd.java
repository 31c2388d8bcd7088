package dev.isobit.cuda;

import dev.isobit.SgdGroup;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.Sgd;
import dev.isobit.cuda.KernelParams.SgdGroupParams;
import dev.isobit.cuda.KernelParams.SgdGuarded;
import dev.isobit.cuda.KernelParams.SgdMixed;
import dev.isobit.cuda.KernelParams.SgdMixedGroup;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** SGD on a device. */
final class CudaSgd implements SgdKernel {
    private final ChunkedStep step;
    private final boolean mixed;

    CudaSgd(CudaBackend backend, List<SgdGroup> groups, CudaStream stream) {
        ChunkTable tensors = tensors(groups);
        mixed = tensors.isMixed();
        step = new ChunkedStep(backend, this, stream, "Sgd",
                backend.module("Sgd.on", tensors.module("sgd")).function("Sgd.on", "sgd_step_" + tensors.dtype()),
                mixed ? SgdMixed.LAYOUT : Sgd.LAYOUT, mixed ? SgdMixedGroup.LAYOUT : SgdGroupParams.LAYOUT, tensors,
                chunks -> backend.launchTable().sgdGrid(chunks));
    }

    private static ChunkTable tensors(List<SgdGroup> groups) {
        return new ChunkTable(groups.stream().map(group -> group.parameters().stream()
                .map(p -> new ChunkTable.Parameter(
                        new @Nullable Tensor[] {p.param(), p.stepGrad(), p.momentumBuffer()},
                        p.master(), group.options().rounding(), p.grad()))
                .toList()).toList());
    }

    /** A step that may be skipped. */
    static GuardedStep guarded(CudaBackend backend, List<SgdGroup> groups, StepOptions options, CudaStream stream) {
        long size = SgdGroupParams.LAYOUT.byteSize();
        MemorySegment settings = Arena.ofAuto().allocate(groups.size() * size, SgdGroupParams.LAYOUT.byteAlignment());
        SgdScalars scalars = new SgdScalars();
        for (int i = 0; i < groups.size(); i++) {
            // The device sets what is not the same in every step.
            scalars.set(groups.get(i).options(), 0, 2);
            write(scalars, settings.asSlice(i * size, size));
        }
        ChunkTable tensors = tensors(groups);
        String module = tensors.module("sgd");
        return new GuardedStep(backend, stream, options, tensors,
                new GuardedStep.Optimizer("Sgd", SgdGuarded.LAYOUT, settings,
                        groups.stream().map(group -> group.options().schedule()).toList(), size,
                        new GuardedStep.Entry(module + "_guarded", "sgd_guarded_" + tensors.dtype()),
                        new GuardedStep.Entry("sgd", "sgd_begin"),
                        new GuardedStep.Entry(module, "sgd_step_" + tensors.dtype() + "_guarded"),
                        chunks -> backend.launchTable().sgdGrid(chunks)));
    }

    @Override
    public void step(SgdScalars[] scalars) {
        step.check();
        for (int i = 0; i < scalars.length; i++) {
            write(scalars[i], step.groupParams(i));
            if (mixed) {
                step.groupParams(i).set(ValueLayout.JAVA_LONG, SgdMixedGroup.STEP, scalars[i].step);
            }
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
