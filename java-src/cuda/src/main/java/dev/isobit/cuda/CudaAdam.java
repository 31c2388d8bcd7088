package dev.isobit.cuda;

import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamSemantics;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.Adam;
import dev.isobit.cuda.KernelParams.AdamGroupParams;
import dev.isobit.cuda.KernelParams.AdamGuarded;
import dev.isobit.cuda.KernelParams.AdamMixed;
import dev.isobit.cuda.KernelParams.AdamMixedGroup;
import dev.isobit.cuda.KernelParams.AdamSetting;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.LongToIntFunction;
import org.jspecify.annotations.Nullable;

/** Adam and AdamW on a device. */
final class CudaAdam implements AdamKernel {
    private final ChunkedStep step;
    private final boolean mixed;

    CudaAdam(CudaBackend backend, List<AdamGroup> groups, CudaStream stream) {
        ChunkTable tensors = tensors(groups);
        mixed = tensors.isMixed();
        step = new ChunkedStep(backend, this, stream, "Adam",
                backend.module("Adam.on", tensors.module("adam")).function("Adam.on",
                        "adam_step_" + variant(groups, tensors)),
                mixed ? AdamMixed.LAYOUT : Adam.LAYOUT, mixed ? AdamMixedGroup.LAYOUT : AdamGroupParams.LAYOUT, tensors,
                grid(backend, groups, tensors));
    }

    private static ChunkTable tensors(List<AdamGroup> groups) {
        return new ChunkTable(groups.stream().map(group -> group.parameters().stream()
                .map(p -> new ChunkTable.Parameter(
                        new @Nullable Tensor[] {p.param(), p.stepGrad(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()},
                        p.master(), group.options().rounding(), p.grad()))
                .toList()).toList());
    }

    /** The types of a kernel's tensors, and which there are, as its name says it. */
    private static String variant(List<AdamGroup> groups, ChunkTable tensors) {
        return tensors.dtype() + (groups.get(0).options().amsgrad() ? "_amsgrad" : "");
    }

    private static LongToIntFunction grid(CudaBackend backend, List<AdamGroup> groups, ChunkTable tensors) {
        boolean amsgrad = groups.get(0).options().amsgrad();
        boolean mixed = tensors.isMixed();
        return chunks -> backend.launchTable().adamGrid(chunks, amsgrad, mixed);
    }

    /** A step that may be skipped. */
    static GuardedStep guarded(CudaBackend backend, List<AdamGroup> groups, StepOptions options, CudaStream stream) {
        long size = AdamSetting.LAYOUT.byteSize();
        MemorySegment settings = Arena.ofAuto().allocate(groups.size() * size, AdamSetting.LAYOUT.byteAlignment());
        AdamScalars scalars = new AdamScalars();
        for (int i = 0; i < groups.size(); i++) {
            AdamOptions of = groups.get(i).options();
            // Those of them that are the same in every step.
            scalars.set(of, of.lr(), 1);
            write(of, scalars, settings.asSlice(i * size, size));
        }
        ChunkTable tensors = tensors(groups);
        String module = tensors.module("adam");
        String variant = variant(groups, tensors);
        return new GuardedStep(backend, stream, options, tensors,
                new GuardedStep.Optimizer("Adam", AdamGuarded.LAYOUT, settings,
                        groups.stream().map(group -> group.options().schedule()).toList(),
                        AdamGroupParams.LAYOUT.byteSize(),
                        new GuardedStep.Entry(module + "_guarded", "adam_guarded_" + variant),
                        new GuardedStep.Entry("adam", "adam_begin"),
                        new GuardedStep.Entry(module, "adam_step_" + variant + "_guarded"),
                        grid(backend, groups, tensors)));
    }

    private static void write(AdamOptions options, AdamScalars s, MemorySegment to) {
        AdamSemantics semantics = options.semantics();
        to.set(ValueLayout.JAVA_DOUBLE, AdamSetting.WEIGHT_DECAY, options.weightDecay());
        to.set(ValueLayout.JAVA_FLOAT, AdamSetting.W1, s.w1);
        to.set(ValueLayout.JAVA_FLOAT, AdamSetting.W2, s.w2);
        to.set(ValueLayout.JAVA_FLOAT, AdamSetting.EPS, s.eps);
        to.set(ValueLayout.JAVA_FLOAT, AdamSetting.GRAD_DECAY, s.gradDecay);
        to.set(ValueLayout.JAVA_INT, AdamSetting.FLAGS, (s.maximize ? Adam.MAXIMIZE : 0)
                | (s.decaysGrad ? Adam.GRAD_DECAY_FLAG : 0)
                | (options.decoupled() && options.weightDecay() != 0 ? AdamSetting.PARAM_DECAY : 0)
                | (semantics.usesEpsilonHat() ? AdamSetting.EPSILON_HAT : 0)
                | (semantics.decaysAfterUpdate() ? AdamSetting.DECAY_AFTER : 0)
                | (semantics == AdamSemantics.ONNX ? AdamSetting.ONNX : 0));
    }

    @Override
    public void step(AdamScalars[] scalars) {
        step.check();
        for (int i = 0; i < scalars.length; i++) {
            write(scalars[i], step.groupParams(i));
            if (mixed) {
                step.groupParams(i).set(ValueLayout.JAVA_LONG, AdamMixedGroup.STEP, scalars[i].step);
            }
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
