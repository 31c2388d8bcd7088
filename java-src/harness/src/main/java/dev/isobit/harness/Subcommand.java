package dev.isobit.harness;

import java.util.concurrent.Callable;

/**
 * A command of the command line that another module brings, found by {@link java.util.ServiceLoader}. Its class carries
 * picocli's {@code @Command}; its result is the exit code.
 */
public interface Subcommand extends Callable<Integer> {}
