package dev.isobit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.WildcardType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What the module shows to others, read from its class files. */
class ExportedApiTest {
    private static final Path CLASSES = classes();

    private static Path classes() {
        try {
            return Path.of(Backend.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (java.net.URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private static ModuleDescriptor descriptor() {
        return ModuleFinder.of(CLASSES).find("dev.isobit").orElseThrow().descriptor();
    }

    @Test
    void moduleDescriptor() {
        ModuleDescriptor module = descriptor();
        assertEquals(Set.of("dev.isobit", "dev.isobit.math", "dev.isobit.spi"), exported());
        assertTrue(module.exports().stream().noneMatch(ModuleDescriptor.Exports::isQualified),
                "a backend on the class path could not see a qualified export");
        Set<String> requires = module.requires().stream()
                .filter(r -> !r.modifiers().contains(ModuleDescriptor.Requires.Modifier.STATIC))
                .map(ModuleDescriptor.Requires::name).collect(Collectors.toSet());
        assertEquals(Set.of("java.base", "java.management", "jdk.incubator.vector"), requires);
        assertEquals(Set.of("dev.isobit.spi.BackendProvider"), module.uses());
        assertTrue(module.opens().isEmpty());
        // The class path finds the same providers.
        List<String> provided = module.provides().iterator().next().providers();
        Path services = CLASSES.resolve("META-INF/services/dev.isobit.spi.BackendProvider");
        try {
            assertEquals(new TreeSet<>(provided), new TreeSet<>(Files.readAllLines(services)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Set<String> exported() {
        return descriptor().exports().stream().map(ModuleDescriptor.Exports::source).collect(Collectors.toSet());
    }

    private static List<Class<?>> publicClasses() {
        try (Stream<Path> files = Files.walk(CLASSES.resolve("dev"))) {
            List<Class<?>> found = new ArrayList<>();
            for (Path file : files.filter(f -> f.toString().endsWith(".class")).toList()) {
                String name =
                        CLASSES.relativize(file).toString().replace(File.separatorChar, '.').replace(".class", "");
                if (!name.endsWith("package-info")) {
                    Class<?> type = Class.forName(name, false, Backend.class.getClassLoader());
                    if (Modifier.isPublic(type.getModifiers()) && exported().contains(type.getPackageName())) {
                        found.add(type);
                    }
                }
            }
            return found;
        } catch (IOException | ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
    }

    /** A signature that names a type nobody can see cannot be called. */
    @Test
    void signaturesNameOnlyWhatIsExported() {
        List<Class<?>> types = publicClasses();
        assertTrue(types.size() > 20, "only " + types.size() + " classes were found");
        Set<String> bad = new TreeSet<>();
        for (Class<?> type : types) {
            check(bad, type, type.getGenericSuperclass());
            for (Type i : type.getGenericInterfaces()) {
                check(bad, type, i);
            }
            for (Method method : type.getDeclaredMethods()) {
                if (isVisible(method.getModifiers()) && !method.isSynthetic()) {
                    check(bad, method, method.getGenericReturnType());
                    check(bad, method, method.getGenericParameterTypes());
                    check(bad, method, method.getGenericExceptionTypes());
                }
            }
            for (Constructor<?> constructor : type.getDeclaredConstructors()) {
                if (isVisible(constructor.getModifiers())) {
                    check(bad, constructor, constructor.getGenericParameterTypes());
                }
            }
            for (Field field : type.getDeclaredFields()) {
                if (isVisible(field.getModifiers())) {
                    check(bad, field, field.getGenericType());
                }
            }
        }
        assertEquals(Set.of(), bad);
    }

    private static boolean isVisible(int modifiers) {
        return Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers);
    }

    private static void check(Set<String> bad, Object where, Type... types) {
        for (Type type : types) {
            if (type instanceof Class<?> c) {
                Class<?> element = c.isArray() ? c.getComponentType() : c;
                boolean ours = element.getPackageName().startsWith("dev.isobit");
                if (ours && !(exported().contains(element.getPackageName())
                        && Modifier.isPublic(element.getModifiers()))
                        || element.getPackageName().startsWith("jdk.incubator")) {
                    bad.add(where + " names " + element.getName());
                }
            } else if (type instanceof ParameterizedType p) {
                check(bad, where, p.getRawType());
                check(bad, where, p.getActualTypeArguments());
            } else if (type instanceof GenericArrayType a) {
                check(bad, where, a.getGenericComponentType());
            } else if (type instanceof WildcardType w) {
                check(bad, where, w.getUpperBounds());
            }
        }
    }

    /** Users need not enable native access for core. */
    @Test
    void noRestrictedMethodIsCalled() {
        ToolProvider scan = ToolProvider.findFirst("jnativescan").orElseThrow();
        StringWriter out = new StringWriter();
        PrintWriter printer = new PrintWriter(out);
        int code = scan.run(printer, printer, "--class-path", CLASSES.toString(), "--release",
                "" + Runtime.version().feature());
        String text = out.toString().strip();
        assertEquals(0, code, text);
        assertTrue(text.isEmpty() || text.contains("<no restricted methods>"), text);
    }
}
