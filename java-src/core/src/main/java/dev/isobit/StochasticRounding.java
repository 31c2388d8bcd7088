package dev.isobit;

/**
 * Stochastic rounding of BF16 parameters that have no master: an update that is smaller than half a unit of BF16 is not
 * lost, but moves the parameter in as many steps as it should on average. The noise is drawn by a counter-based generator,
 * see {@link dev.isobit.math.RoundingNoise}, from the seed, the step count of the group, the number of the parameter in the
 * optimizer and the number of the element: the same bits on every backend, with any number of threads, and after a run was
 * resumed. Immutable.
 *
 * @param seed any; two runs with one seed draw the same noise
 */
public record StochasticRounding(long seed) {}
