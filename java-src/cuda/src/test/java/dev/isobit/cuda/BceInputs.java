package dev.isobit.cuda;

import dev.isobit.BceWithLogitsOptions;
import dev.isobit.Reduction;
import java.util.Random;

/**
 * Operands of binary cross-entropy on the host, all of a seed.
 *
 * @param shape of the logits
 * @param options options
 * @param logits logits
 * @param targets targets
 * @param posWeightShape how posWeight spreads; null: there is none
 * @param posWeight weights of positives
 * @param weightsShape how the weights spread; null: there are none
 * @param weights weights
 * @param maskShape how the mask spreads; null: there is none
 * @param mask 0 where elements are ignored
 * @param gradLoss one per element for NONE, else one
 */
record BceInputs(long[] shape, BceWithLogitsOptions options, float[] logits, float[] targets, long[] posWeightShape,
        float[] posWeight, long[] weightsShape, float[] weights, long[] maskShape, byte[] mask, float[] gradLoss) {
    private static final float[] SPECIAL =
            {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f, 20, -20,
                88, -88, 103.9f, -104, Float.MIN_VALUE, Float.MAX_VALUE, 0.88137358f, -0.88137358f, 1e-8f};

    static int count(long... shape) {
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        return Math.toIntExact(count);
    }

    /** Everything drawn but the shape. */
    static BceInputs of(long seed, long... shape) {
        Random random = new Random(seed);
        var options = new BceWithLogitsOptions(Reduction.values()[random.nextInt(3)], random.nextBoolean(),
                random.nextBoolean() ? 0 : 0.1, random.nextInt(3) == 0 ? 1 : Double.NaN);
        long[] maskShape = random.nextInt(3) == 0 ? spread(random, shape) : null;
        long[] posWeightShape = spread(random, shape);
        long[] weightsShape = spread(random, shape);
        // The focal loss takes no posWeight.
        boolean focal = random.nextInt(3) == 0;
        double alpha = random.nextBoolean() ? 0.25 : Double.NaN;
        return of(random, focal ? options.withFocal((1 + random.nextInt(16)) / 2.0, alpha) : options,
                focal ? null : posWeightShape, weightsShape, maskShape, shape);
    }

    static BceInputs of(Random random, BceWithLogitsOptions options, long[] posWeightShape, long[] weightsShape,
            long[] maskShape, long... shape) {
        int count = count(shape);
        float[] logits = new float[count];
        float[] targets = new float[count];
        boolean soft = random.nextBoolean();
        int rare = random.nextInt(2) == 0 ? 4 : 1000;
        for (int i = 0; i < count; i++) {
            logits[i] = random.nextInt(rare) == 0
                    ? SPECIAL[random.nextInt(SPECIAL.length)]
                    : (float) (3 * random.nextGaussian());
            targets[i] = soft ? random.nextInt(3) * random.nextFloat() / 2 : random.nextInt(2);
        }
        byte[] mask = new byte[maskShape == null ? 0 : count(maskShape)];
        for (int i = 0; i < mask.length; i++) {
            mask[i] = (byte) (random.nextInt(4) == 0 ? 0 : random.nextInt(256));
        }
        return new BceInputs(shape, options, logits, targets, posWeightShape, values(random, posWeightShape),
                weightsShape, values(random, weightsShape), maskShape, mask,
                values(random, options.reduction() == Reduction.NONE ? shape : new long[0]));
    }

    private static float[] values(Random random, long[] shape) {
        float[] values = new float[shape == null ? 0 : count(shape)];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextInt(9) == 0 ? 0 : 4 * random.nextFloat();
        }
        return values;
    }

    /** Absent, one value, one per element, or along any choice of axes. */
    private static long[] spread(Random random, long[] shape) {
        switch (random.nextInt(4)) {
            case 0 -> {
                return null;
            }
            case 1 -> {
                return new long[0];
            }
            case 2 -> {
                return shape;
            }
            default -> {
                long[] some = shape.clone();
                for (int axis = 0; axis < some.length; axis++) {
                    some[axis] = random.nextBoolean() ? 1 : some[axis];
                }
                return some;
            }
        }
    }

    /** Whether targets are whole numbers, which bytes hold. */
    boolean hasBinaryTargets() {
        for (float target : targets) {
            if (target != (int) target) {
                return false;
            }
        }
        return true;
    }

    /** Eight a byte, the lowest bit first. */
    byte[] targetBits() {
        byte[] bytes = new byte[(targets.length + 7) / 8];
        for (int i = 0; i < targets.length; i++) {
            bytes[i / 8] |= (byte) ((int) targets[i] << i % 8);
        }
        return bytes;
    }

    byte[] targetBytes() {
        byte[] bytes = new byte[targets.length];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) targets[i];
        }
        return bytes;
    }
}
