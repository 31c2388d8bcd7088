/** Runs directories of test cases, with inputs and expected outputs of any origin. */
@NullMarked
package dev.isobit.harness.cases;

import org.jspecify.annotations.NullMarked;
