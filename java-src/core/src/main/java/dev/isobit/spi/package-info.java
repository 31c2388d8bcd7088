/** What a backend implements. */
@NullMarked
package dev.isobit.spi;

import org.jspecify.annotations.NullMarked;
