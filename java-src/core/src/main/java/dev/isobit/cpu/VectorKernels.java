package dev.isobit.cpu;

import dev.isobit.cpu.FloatOperand.Kind;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/** The Vector API where memory allows, in copies specialised by kind of memory, made when first asked for. */
final class VectorKernels implements CpuKernels {
    private static final AtomicReferenceArray<@Nullable CrossEntropyRows> ROWS = new AtomicReferenceArray<>(4);
    private static final AtomicReferenceArray<@Nullable AdamUpdate> ADAM = new AtomicReferenceArray<>(16);

    @Override
    public CrossEntropyRows rows(FloatOperand logits, FloatOperand gradLogits) {
        int flags = flag(logits, 0) | flag(gradLogits, 1);
        if (flags < 0) {
            return ScalarKernels.ROWS;
        }
        CrossEntropyRows rows = ROWS.get(flags);
        if (rows == null) {
            ROWS.compareAndSet(flags, null, (CrossEntropyRows) Specialized.instance(VectorRows.class, flags));
            rows = ROWS.get(flags);
        }
        return rows;
    }

    @Override
    public AdamUpdate adam(FloatOperand param, FloatOperand grad, FloatOperand expAvg, FloatOperand expAvgSq) {
        int flags = flag(param, 0) | flag(grad, 1) | flag(expAvg, 2) | flag(expAvgSq, 3);
        if (flags < 0) {
            return ScalarKernels.ADAM;
        }
        AdamUpdate update = ADAM.get(flags);
        if (update == null) {
            ADAM.compareAndSet(flags, null, (AdamUpdate) Specialized.instance(VectorAdam.class, flags));
            update = ADAM.get(flags);
        }
        return update;
    }

    /** The operand's bit, or a negative number where vectors cannot reach it. */
    private static int flag(FloatOperand operand, int bit) {
        return operand.kind == Kind.OTHER ? Integer.MIN_VALUE : (operand.kind == Kind.ARRAY ? 1 : 0) << bit;
    }
}
