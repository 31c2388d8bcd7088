/** Benchmarks: what {@code isobit bench} measures, the paired comparison, JMH. */
package dev.isobit.bench;
