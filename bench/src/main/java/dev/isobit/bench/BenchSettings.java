package dev.isobit.bench;

/**
 * How long a run of {@code isobit bench} measures.
 *
 * @param mode {@code quick} or {@code full}: which sizes, and what {@code isobit compare} asks of them
 * @param forks JVMs that measure each case
 * @param rounds in each fork
 * @param warmUpSeconds of all sides of a case together, at least
 * @param batchMillis one measurement of one side, about
 */
public record BenchSettings(String mode, int forks, int rounds, double warmUpSeconds, double batchMillis) {
    /** Some minutes on two cores; sizes that only the page shows are measured in one fork. */
    static final BenchSettings QUICK = new BenchSettings("quick", 3, 5, 1.0, 10);
    /** Every size. */
    static final BenchSettings FULL = new BenchSettings("full", 3, 20, 2.5, 30);

    /** Whether this was a quick run. */
    public boolean quick() {
        return mode.equals(QUICK.mode);
    }
}
