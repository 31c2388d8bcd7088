/** Trains a classifier of handwritten digits, on every path, and compares the bits. */
@NullMarked
package dev.isobit.harness.demo;

import org.jspecify.annotations.NullMarked;
