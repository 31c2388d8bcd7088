package dev.isobit;

/**
 * Options of {@link Softmax} and {@link LogSoftmax}; immutable.
 *
 * @param axis the axis along which the classes lie; a negative one counts from the last, -1, towards the first
 */
public record SoftmaxOptions(int axis) {
    private static final SoftmaxOptions DEFAULTS = new SoftmaxOptions(-1);

    /**
     * The defaults: the last axis.
     *
     * @return default options
     */
    public static SoftmaxOptions defaults() {
        return DEFAULTS;
    }

    /**
     * A copy with another axis.
     *
     * @param axis the axis along which the classes lie; a negative one counts from the last, -1, towards the first
     * @return changed options
     */
    public SoftmaxOptions withAxis(int axis) {
        return new SoftmaxOptions(axis);
    }
}
