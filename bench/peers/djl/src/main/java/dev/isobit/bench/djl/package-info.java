/** DJL with its PyTorch engine, as its users call it. */
package dev.isobit.bench.djl;
