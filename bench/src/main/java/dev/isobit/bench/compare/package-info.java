/** One run against another. */
package dev.isobit.bench.compare;
