package dev.isobit.bench;

/**
 * What a comparison gave.
 *
 * @param name operation, shape, threads
 * @param ratio speed of the side by speed of the peer, pair by pair: the median and its 95 % interval
 * @param side the side's own speed
 * @param peer the peer's
 * @param allocatedBytesPerRun by all threads of the JVM while the side runs
 * @param ratios all pairs
 */
record PairedResult(String name, Bootstrap.Interval ratio, Speed side, Speed peer, double allocatedBytesPerRun,
        double[] ratios) {
    /**
     * How fast something ran.
     *
     * @param name what ran
     * @param microseconds of a run, the median
     * @param gigaElements per second, at the median
     * @param gigaBytes per second, at the median
     * @param bestGigaBytes per second, the fastest batch
     * @param seconds of a run, all batches
     */
    record Speed(String name, double microseconds, double gigaElements, double gigaBytes, double bestGigaBytes,
            double[] seconds) {}
}
