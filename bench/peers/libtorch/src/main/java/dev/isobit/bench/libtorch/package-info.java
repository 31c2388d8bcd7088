/** libtorch through JavaCPP, as its users call it. */
package dev.isobit.bench.libtorch;
