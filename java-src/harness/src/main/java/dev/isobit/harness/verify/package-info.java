/** Checks the promises of the numerical contract over a grid of shapes, inputs and options. */
@NullMarked
package dev.isobit.harness.verify;

import org.jspecify.annotations.NullMarked;
