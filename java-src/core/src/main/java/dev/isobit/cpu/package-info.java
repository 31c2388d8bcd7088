/** The CPU backend: Vector API, or scalar code, with the same bits. */
@NullMarked
package dev.isobit.cpu;

import org.jspecify.annotations.NullMarked;
