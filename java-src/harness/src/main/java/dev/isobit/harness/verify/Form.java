package dev.isobit.harness.verify;

/**
 * One way to ask for the same results: they must be the same bits.
 *
 * @param name for people
 * @param call which calls are made; a problem knows its own
 * @param placement where operands lie
 */
record Form(String name, Call call, Placement placement) {
    /** What is called. */
    enum Call {
        /** Everything in one call. */
        WHOLE,
        /** The loss alone. */
        LOSS,
        /** The gradient alone. */
        GRADIENT,
        /** The loss, then the gradient from what the loss has found out. */
        SAVED,
        /** From states of shards of the classes. */
        SHARDS,
        /** The gradient over the logits. */
        IN_PLACE,
        /** Targets of type I32. */
        INT32,
        /** The rows in the opposite order. */
        REVERSED,
        /** Each row, or each parameter, by itself. */
        APART,
        /** Moments that the optimizer allocates. */
        OWN_MOMENTS
    }
}
