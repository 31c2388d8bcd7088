package dev.isobit.reference;

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

/**
 * Computes in float64, one element after the other, from the formulas of the textbooks. Tensors may be F32 or F64, each
 * on its own: F64 results of F32 operands show how far a float32 backend is off. Thread-safe; owns nothing.
 */
final class ReferenceBackend extends HostBackend {
    static final String NAME = "reference";
    static final String DESCRIPTION = "float64, scalar, one thread";

    private static final Set<DType> DTYPES = Collections.unmodifiableSet(EnumSet.of(DType.F32, DType.F64));

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public String description() {
        return DESCRIPTION;
    }

    @Override
    public Set<DType> dtypes() {
        return DTYPES;
    }

    @Override
    public CrossEntropyKernel crossEntropyKernel(CrossEntropyOptions options, Stream stream) {
        requireOpen();
        return new ReferenceCrossEntropy(this, options);
    }

    @Override
    public BceWithLogitsKernel bceWithLogitsKernel(BceWithLogitsOptions options, Stream stream) {
        requireOpen();
        return new ReferenceBceWithLogits(this, options);
    }

    @Override
    public SoftmaxKernel softmaxKernel(boolean logarithm, Stream stream) {
        requireOpen();
        return new ReferenceSoftmax(this, logarithm);
    }

    @Override
    public NllLossKernel nllLossKernel(NllLossOptions options, Stream stream) {
        requireOpen();
        return new ReferenceNllLoss(this, options);
    }

    @Override
    public AdamKernel adamKernel(List<AdamGroup> groups, Stream stream) {
        requireOpen();
        return new ReferenceAdam(this, groups);
    }

    @Override
    public SgdKernel sgdKernel(List<SgdGroup> groups, Stream stream) {
        requireOpen();
        return new ReferenceSgd(this, groups);
    }

    @Override
    public GuardedKernel guardedAdamKernel(List<AdamGroup> groups, StepOptions step, Stream stream) {
        requireOpen();
        return HostGuardedKernel.adam(this, groups, step, ReferenceGradients::new,
                new ReferenceAdam(this, groups));
    }

    @Override
    public GuardedKernel guardedSgdKernel(List<SgdGroup> groups, StepOptions step, Stream stream) {
        requireOpen();
        return HostGuardedKernel.sgd(this, groups, step, ReferenceGradients::new,
                new ReferenceSgd(this, groups));
    }
}
