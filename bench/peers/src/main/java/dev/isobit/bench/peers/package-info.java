/** Other libraries of the JVM, as their users call them. */
package dev.isobit.bench.peers;
