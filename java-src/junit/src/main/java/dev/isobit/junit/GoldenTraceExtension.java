package dev.isobit.junit;

import dev.isobit.Backend;
import java.lang.reflect.Method;
import java.nio.file.Path;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.platform.commons.support.AnnotationSupport;
import org.opentest4j.AssertionFailedError;
import org.opentest4j.TestAbortedException;

/** Runs the methods with {@link GoldenTrace}: records, or replays. */
final class GoldenTraceExtension implements ParameterResolver, InvocationInterceptor {
    /** What to do where there is no trace to compare with. */
    static final String RECORD = "; to record it, run this test with -Disobit.golden=record, and look at what changed";

    private static final String MODE = "isobit.golden";
    private static final String FOLDER = "isobit.golden.dir";
    private static final String DEFAULT_FOLDER = "src/test/resources";
    private static final String FORCED_BACKEND = "isobit.backend";
    private static final ExtensionContext.Namespace NAMESPACE =
            ExtensionContext.Namespace.create(GoldenTraceExtension.class);

    /** Called by JUnit. */
    GoldenTraceExtension() {}

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == Trace.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return trace(context);
    }

    private static Trace trace(ExtensionContext context) {
        return context.getStore(NAMESPACE).getOrComputeIfAbsent(Trace.class, type -> new Trace(), Trace.class);
    }

    @Override
    public void interceptTestMethod(Invocation<Void> invocation, ReflectiveInvocationContext<Method> method,
            ExtensionContext context) throws Throwable {
        GoldenTrace golden = AnnotationSupport.findAnnotation(method.getExecutable(), GoldenTrace.class).orElseThrow();
        String name = golden.value().isEmpty()
                ? method.getTargetClass().getSimpleName() + "." + method.getExecutable().getName()
                : golden.value();
        String mode = System.getProperty(MODE);
        if (mode == null) {
            replay(invocation, trace(context), method.getTargetClass(), name);
        } else if (mode.equals("record")) {
            record(invocation, trace(context), method.getTargetClass(), name, golden.detail());
        } else {
            throw new AssertionFailedError("-D" + MODE + "=" + mode + ": there is only record");
        }
    }

    private static void replay(Invocation<Void> invocation, Trace trace, Class<?> test, String name)
            throws Throwable {
        GoldenFile golden = GoldenFile.read(test, name);
        if (golden == null) {
            throw new AssertionFailedError("there is no golden trace " + name + GoldenFile.SUFFIX + " beside "
                    + test.getName() + " on the class path" + RECORD);
        }
        try (Backend backend = System.getProperty(FORCED_BACKEND) == null ? Backend.open("cpu") : Backend.best()) {
            trace.begin(backend, golden.snapshots(),
                    "the golden trace " + name + " (recorded on " + golden.recordedOn() + ")", RECORD);
            invocation.proceed();
            trace.finish();
        }
    }

    private static void record(Invocation<Void> invocation, Trace trace, Class<?> test, String name,
            GoldenTrace.Detail detail) throws Throwable {
        Path folder = Path.of(System.getProperty(FOLDER, DEFAULT_FOLDER),
                test.getPackageName().replace('.', '/'));
        try (Backend backend = Backend.best()) {
            trace.begin(backend, null, "", "");
            invocation.proceed();
            new GoldenFile(backend.name() + ": " + backend.description(), trace.finish()).write(folder, name, detail);
        }
        throw new TestAbortedException("recorded " + name + GoldenFile.SUFFIX + " in " + folder.toAbsolutePath()
                + "; nothing was compared: run again without -D" + MODE);
    }
}
