/** {@code isobit sanitize}: every kernel under all checkers. */
@NullMarked
package dev.isobit.harness.sanitize;

import org.jspecify.annotations.NullMarked;
