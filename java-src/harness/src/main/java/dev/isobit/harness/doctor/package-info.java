/** Says what was found on this machine, and what is missing. */
@NullMarked
package dev.isobit.harness.doctor;

import org.jspecify.annotations.NullMarked;
