package dev.isobit.cpu;

import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.InvocationTargetException;

/**
 * Copies of a kernel class, one per combination of compile-time flags. A copy is a hidden class with the same
 * bytecode: the JIT sees its flags as constants and gives it profiles of its own, so that a kernel that works on native
 * memory is not slowed down by one that worked on arrays.
 */
final class Specialized {
    private Specialized() {}

    /**
     * Makes an instance of a copy.
     *
     * @param kernel the class whose bytecode is copied; has a constructor without arguments
     * @param flags what {@link #flag} will answer in the copy, bit by bit
     * @return an instance of the copy, which implements what {@code kernel} implements
     */
    static Object instance(Class<?> kernel, int flags) {
        try (InputStream in = kernel.getResourceAsStream(kernel.getSimpleName() + ".class")) {
            if (in == null) {
                throw new IllegalStateException("the class file of " + kernel.getName() + " cannot be read");
            }
            var copy = MethodHandles.lookup().defineHiddenClassWithClassData(in.readAllBytes(), flags, true);
            return copy.lookupClass().getDeclaredConstructor().newInstance();
        } catch (IOException | IllegalAccessException | InstantiationException | NoSuchMethodException
                | InvocationTargetException e) {
            throw new IllegalStateException("cannot specialise " + kernel.getName() + " for flags " + flags, e);
        }
    }

    /**
     * A flag of the copy that asks.
     *
     * @param lookup the asking class's own lookup
     * @param bit which flag
     * @return its value; false in a class that is no copy
     */
    static boolean flag(MethodHandles.Lookup lookup, int bit) {
        try {
            Integer flags = MethodHandles.classData(lookup, "_", Integer.class);
            return flags != null && (flags >> bit & 1) != 0;
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }
}
