/** JMH benchmarks. */
package dev.isobit.bench;
