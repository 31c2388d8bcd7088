package dev.isobit.harness.verify;

import dev.isobit.Backend;
import java.util.function.Supplier;

/**
 * A float32 backend in some configuration, in this JVM.
 *
 * @param name for people, such as {@code cpu, one thread}
 * @param judged whether it is asked in every form and measured against the reference; other configurations of a judged
 *     backend are only compared with it
 * @param opener opens the backend; whoever calls it closes it
 */
record Subject(String name, boolean judged, Supplier<Backend> opener) {}
