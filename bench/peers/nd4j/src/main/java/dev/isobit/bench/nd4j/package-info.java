/** ND4J, as its users call it. */
package dev.isobit.bench.nd4j;
