package dev.isobit.harness.verify;

import java.util.List;

/**
 * A float32 backend that needs a JVM of its own: other vector widths, or another driver.
 *
 * @param name for people, such as {@code cpu, 128-bit vectors}
 * @param backend the backend's name there
 * @param flags what that JVM is started with beside the flags of this one
 */
record ChildSubject(String name, String backend, List<String> flags) {}
