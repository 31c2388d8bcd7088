package dev.isobit.junit;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.Extension;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.InvocationInterceptor;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.ReflectiveInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContextProvider;
import org.junit.platform.commons.support.AnnotationSupport;
import org.opentest4j.TestAbortedException;

/** Runs the methods with {@link BackendsAgree}, once for each configuration. */
final class BackendsAgreeExtension implements TestTemplateInvocationContextProvider {
    private static final String CPU = "cpu";
    private static final String CUDA = "cuda";
    private static final String SIM = "sim";
    /** In float64: other bits on purpose. */
    private static final String REFERENCE = "reference";

    /** Called by JUnit. */
    BackendsAgreeExtension() {}

    @Override
    public boolean supportsTestTemplate(ExtensionContext context) {
        return true;
    }

    @Override
    public Stream<TestTemplateInvocationContext> provideTestTemplateInvocationContexts(ExtensionContext context) {
        BackendsAgree asked =
                AnnotationSupport.findAnnotation(context.getRequiredTestMethod(), BackendsAgree.class).orElseThrow();
        var first = new First();
        BackendOptions defaults = BackendOptions.defaults();
        List<TestTemplateInvocationContext> runs = new ArrayList<>();
        runs.add(new Run(CPU, CPU, defaults, first));
        runs.add(new Run("cpu, 1 thread", CPU, defaults.withThreads(1), first));
        runs.add(new Run("cpu, 3 threads", CPU, defaults.withThreads(3), first));
        for (String name : asked.value().length > 0 ? List.of(asked.value()) : others()) {
            runs.add(new Run(name, name, defaults, first));
        }
        return runs.stream();
    }

    /** A process has one driver: the simulated one, where there is no other. */
    private static List<String> others() {
        List<String> available = Backend.probes().stream().filter(BackendProbe::available).map(BackendProbe::name)
                .filter(name -> !name.equals(CPU) && !name.equals(REFERENCE)).toList();
        return available.contains(CUDA)
                ? available.stream().filter(name -> !name.equals(SIM)).toList()
                : available;
    }

    /** What the first run recorded. Runs of one method are in one thread. */
    private static final class First {
        private @Nullable List<Snapshot> taken;
    }

    /** The method on one configuration of a backend. */
    private record Run(String name, String backend, BackendOptions options, First first)
            implements
                TestTemplateInvocationContext {
        @Override
        public String getDisplayName(int invocationIndex) {
            return name;
        }

        @Override
        public List<Extension> getAdditionalExtensions() {
            return List.of(new Invoker(this));
        }
    }

    private record Invoker(Run run, Trace trace) implements ParameterResolver, InvocationInterceptor {
        Invoker(Run run) {
            this(run, new Trace());
        }

        @Override
        public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
            return parameter.getParameter().getType() == Trace.class;
        }

        @Override
        public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
            return trace;
        }

        @Override
        public void interceptTestTemplateMethod(Invocation<Void> invocation,
                ReflectiveInvocationContext<Method> method, ExtensionContext context) throws Throwable {
            boolean isFirst = run.name.equals(CPU);
            if (!isFirst && run.first.taken == null) {
                invocation.skip();
                throw new TestAbortedException("the run on " + CPU + " failed: there is nothing to compare with");
            }
            for (BackendProbe probe : Backend.probes()) {
                if (probe.name().equals(run.backend) && !probe.available()) {
                    invocation.skip();
                    throw new TestAbortedException("backend " + run.backend + ": " + probe.detail());
                }
            }
            try (Backend backend = Backend.open(run.backend, run.options)) {
                trace.begin(backend, isFirst ? null : run.first.taken, "the run on " + CPU, "");
                invocation.proceed();
                List<Snapshot> taken = trace.finish();
                run.first.taken = isFirst ? taken : run.first.taken;
            }
        }
    }
}
