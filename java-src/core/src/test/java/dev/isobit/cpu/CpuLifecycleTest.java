package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.contract.CrossEntropyCase;
import dev.isobit.contract.CrossEntropyCase.Upstream;
import dev.isobit.contract.CrossEntropyCase.Wanted;
import dev.isobit.contract.LogitsKind;
import dev.isobit.contract.OperandBlock;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class CpuLifecycleTest {
    private static Set<Thread> threads() {
        Set<Thread> found = new HashSet<>(Thread.getAllStackTraces().keySet());
        found.removeIf(t -> !t.getName().startsWith("isobit-cpu-"));
        return found;
    }

    @Test
    void workersEndWithTheirBackend() throws Exception {
        Set<Thread> before = threads();
        Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(4));
        Set<Thread> started = threads();
        started.removeAll(before);
        assertEquals(3, started.size());
        assertTrue(started.stream().allMatch(Thread::isDaemon));
        assertTrue(backend.description().endsWith("4 threads"), backend.description());
        backend.close();
        backend.close();
        for (Thread thread : started) {
            thread.join(TimeUnit.SECONDS.toMillis(30));
            assertFalse(thread.isAlive());
        }
    }

    @Test
    void oneThreadStartsNone() {
        Set<Thread> before = threads();
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(1))) {
            Set<Thread> started = threads();
            started.removeAll(before);
            assertEquals(Set.of(), started);
            assertTrue(backend.description().endsWith("1 thread"), backend.description());
        }
    }

    /** Operations of their own on one backend at once, and on two backends: everybody gets the right bits. */
    @Test
    void manyCallersAtOnce() throws Exception {
        try (Backend a = Backend.open("cpu", BackendOptions.defaults().withThreads(3));
                Backend b = Backend.open("cpu", BackendOptions.defaults().withThreads(2));
                var callers = Executors.newFixedThreadPool(3)) {
            List<Callable<Long>> tasks = new ArrayList<>();
            for (int caller = 0; caller < 3; caller++) {
                Backend backend = caller == 2 ? b : a;
                long seed = 100L * caller;
                tasks.add(() -> work(backend, seed));
            }
            for (Future<Long> result : callers.invokeAll(tasks)) {
                assertTrue(result.get() > 0);
            }
        }
    }

    private static long work(Backend backend, long seed) {
        long compared = 0;
        var first = new CrossEntropyCase(1, 1, LogitsKind.NORMAL, Reduction.MEAN, -100, DType.I64, Upstream.SCALAR,
                Wanted.BOTH, 0);
        try (CrossEntropy op = CrossEntropy.on(backend, first.options());
                OperandBlock block = new OperandBlock(backend)) {
            for (int i = 0; i < 150; i++) {
                var test = new CrossEntropyCase(1 + i % 40, 1 + i * i % 3000, LogitsKind.values()[i % 5],
                        Reduction.MEAN, -100, DType.I64, Upstream.SCALAR, i % 2 == 0 ? Wanted.BOTH : Wanted.LOSS,
                        seed + i);
                compared += test.check(op, block);
            }
        }
        return compared;
    }
}
