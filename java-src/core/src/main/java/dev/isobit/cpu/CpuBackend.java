package dev.isobit.cpu;

import dev.isobit.AdamGroup;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.NllLossOptions;
import dev.isobit.SgdGroup;
import dev.isobit.StepOptions;
import dev.isobit.Stream;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.CrossEntropyKernel;
import dev.isobit.spi.GuardedKernel;
import dev.isobit.spi.HostBackend;
import dev.isobit.spi.HostGuardedKernel;
import dev.isobit.spi.NllLossKernel;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SoftmaxKernel;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/** The CPU backend: kernels of one path, and a team of workers. */
final class CpuBackend extends HostBackend {
    static final String NAME = "cpu";
    private static final Set<DType> DTYPES = Collections.unmodifiableSet(EnumSet.of(DType.F32));

    private final CpuPath path;
    private final CpuKernels kernels;
    private final Workers workers;

    CpuBackend(CpuPath path, int threads) {
        this.path = path;
        this.kernels = path.kernels();
        this.workers = new Workers(threads);
    }

    CpuKernels kernels() {
        return kernels;
    }

    Workers workers() {
        return workers;
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String description() {
        return path.description() + ", " + workers.count() + (workers.count() == 1 ? " thread" : " threads");
    }

    @Override
    public Set<DType> dtypes() {
        return DTYPES;
    }

    @Override
    public CrossEntropyKernel crossEntropyKernel(CrossEntropyOptions options, Stream stream) {
        requireOpen();
        return new CpuCrossEntropy(this, options);
    }

    @Override
    public BceWithLogitsKernel bceWithLogitsKernel(BceWithLogitsOptions options, Stream stream) {
        requireOpen();
        return new CpuBceWithLogits(this, options);
    }

    @Override
    public SoftmaxKernel softmaxKernel(boolean logarithm, Stream stream) {
        requireOpen();
        return new CpuSoftmax(this, logarithm);
    }

    @Override
    public NllLossKernel nllLossKernel(NllLossOptions options, Stream stream) {
        requireOpen();
        return new CpuNllLoss(this, options);
    }

    @Override
    public AdamKernel adamKernel(List<AdamGroup> groups, Stream stream) {
        requireOpen();
        return new CpuAdam(this, groups, false);
    }

    @Override
    public SgdKernel sgdKernel(List<SgdGroup> groups, Stream stream) {
        requireOpen();
        return new CpuSgd(this, groups);
    }

    @Override
    public GuardedKernel guardedAdamKernel(List<AdamGroup> groups, StepOptions step, Stream stream) {
        requireOpen();
        return HostGuardedKernel.adam(this, groups, step, tensors -> new CpuGradients(this, tensors),
                new CpuAdam(this, groups, true));
    }

    @Override
    public GuardedKernel guardedSgdKernel(List<SgdGroup> groups, StepOptions step, Stream stream) {
        requireOpen();
        return HostGuardedKernel.sgd(this, groups, step, tensors -> new CpuGradients(this, tensors),
                new CpuSgd(this, groups));
    }

    @Override
    public void close() {
        super.close();
        workers.close();
    }
}
