package dev.isobit.cpu;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The float64 part of small rows, as in {@link RowState} with one segment: {@code factors},
 * {@code targetGradients}, {@code losses} and {@code finite}.
 */
final class VectorSmallJoin implements SegmentStage {
    private static final VectorSpecies<Double> DOUBLES = VectorSpecies.ofPreferred(double.class);
    private static final VectorSpecies<Float> HALF = VectorSpecies.of(float.class,
            VectorShape.forBitSize(VectorMath.SPECIES.vectorBitSize() / 2));

    VectorSmallJoin() {}

    @Override
    public void run(SegmentWork work) {
        SmallBlock block = work.block;
        int rows = block.groups * VectorAccess.WIDTH;
        for (int i = 0; i < rows; i += DOUBLES.length()) {
            DoubleVector max = load(block.maxima, i);
            DoubleVector others = load(block.sums, i);
            DoubleVector count = load(block.counts, i);
            DoubleVector targetLogit = load(block.targetLogits, i);
            DoubleVector upstream = DoubleVector.fromArray(DOUBLES, block.upstream, i);
            DoubleVector total = count.add(others);
            DoubleVector rest = total.sub(load(block.targetExps, i))
                    .blend(count.sub(1).add(others), targetLogit.eq(max));
            // The divider is slow: one reciprocal, rounded, and for each quotient a guess that is put right twice, which is what
            // the division gives (Markstein). Signs are such that a guess of -0 stays one.
            DoubleVector minusReciprocal = DoubleVector.broadcast(DOUBLES, -1).div(total);
            DoubleVector minusUpstream = upstream.neg();
            DoubleVector factor = minusUpstream.mul(minusReciprocal);
            factor = factor.fma(total, minusUpstream).fma(minusReciprocal, factor);
            factor = factor.fma(total, minusUpstream).fma(minusReciprocal, factor);
            store(factor, block.factors, i);
            DoubleVector minusPart = rest.mul(minusUpstream);
            DoubleVector quotient = minusPart.mul(minusReciprocal);
            quotient = quotient.fma(total, minusPart).fma(minusReciprocal, quotient);
            quotient = quotient.fma(total, minusPart).fma(minusReciprocal, quotient);
            store(DoubleVector.zero(DOUBLES).sub(quotient), block.targetGradients, i);
            store(max.sub(targetLogit).add(load(block.logSums, i)), block.losses, i);
        }
        block.finite = VectorMath.areFinite(block.maxima, rows) && VectorMath.areFinite(block.sums, rows)
                && VectorMath.areFinite(block.factors, rows);
    }

    private static DoubleVector load(float[] from, int i) {
        return (DoubleVector) FloatVector.fromArray(HALF, from, i).convertShape(VectorOperators.F2D, DOUBLES, 0);
    }

    private static void store(DoubleVector value, float[] to, int i) {
        ((FloatVector) value.convertShape(VectorOperators.D2F, HALF, 0)).intoArray(to, i);
    }
}
