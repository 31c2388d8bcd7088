/** What this JVM is, for the choice of a path. Not exported. */
@NullMarked
package dev.isobit.jvm;

import org.jspecify.annotations.NullMarked;
