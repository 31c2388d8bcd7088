/** TensorFlow Java, as its users call it. */
package dev.isobit.bench.tensorflow;
