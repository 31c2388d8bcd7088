package dev.isobit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.cpu.CpuProvider;
import dev.isobit.spi.BackendProvider;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BackendTest {
    private String forced;

    @BeforeEach
    void remember() {
        forced = System.getProperty("isobit.backend");
        System.clearProperty("isobit.backend");
    }

    @AfterEach
    void restore() {
        if (forced == null) {
            System.clearProperty("isobit.backend");
        } else {
            System.setProperty("isobit.backend", forced);
        }
        System.clearProperty("isobit.threads");
    }

    @Test
    void probes() {
        List<BackendProbe> probes = Backend.probes();
        assertEquals(List.of("cpu", "reference"), probes.stream().map(BackendProbe::name).toList());
        for (BackendProbe probe : probes) {
            assertTrue(probe.available() && !probe.detail().isBlank(), probe.toString());
            try (Backend backend = Backend.open(probe.name())) {
                assertEquals(probe.name(), backend.name());
                assertTrue(backend.description().startsWith(probe.detail()), backend.description());
            }
        }
    }

    @Test
    void best() {
        try (Backend backend = Backend.best()) {
            assertEquals("cpu", backend.name());
            assertEquals(java.util.Set.of(DType.F32), backend.dtypes());
            assertTrue(backend.usesHostMemory());
        }
        System.setProperty("isobit.backend", "reference");
        try (Backend backend = Backend.best()) {
            assertEquals("reference", backend.name());
            assertEquals(java.util.Set.of(DType.F32, DType.F64), backend.dtypes());
        }
        System.setProperty("isobit.backend", "tpu");
        var e = assertThrows(IllegalArgumentException.class, Backend::best);
        assertEquals("no backend \"tpu\"; there are cpu, reference", e.getMessage());
    }

    /** A provider that finds all it needs and cannot open it, but with a device other than the first. */
    private record Broken(String name, int priority) implements BackendProvider {
        @Override
        public BackendProbe probe() {
            return new BackendProbe(name, true, "a device");
        }

        @Override
        public Backend open(BackendOptions options) {
            if (options.deviceOrdinal() == 0) {
                throw new IsobitException("Backend.open: out of memory");
            }
            return Backend.open("cpu");
        }
    }

    @Test
    void bestGoesOnWhereOneCannotBeOpened() {
        List<BackendProvider> providers = List.of(new Broken("broken", 100), new CpuProvider());
        BackendOptions options = BackendOptions.defaults();
        String log = logged("WARNING", () -> {
            try (Backend backend = Backends.best(providers, options)) {
                assertEquals("cpu", backend.name());
            }
        });
        assertTrue(log.contains("passed over broken: a device; but it could not be opened: "
                + "Backend.open: out of memory"), log);
        assertEquals(
                new BackendProbe("broken", false,
                        "a device; but it could not be opened: Backend.open: out of memory"),
                Backends.probes(providers).getFirst());
        // It is tried anew each time, and available again once it has been opened.
        Backends.best(providers, options.withDeviceOrdinal(1)).close();
        assertEquals(new BackendProbe("broken", true, "a device"), Backends.probes(providers).getFirst());

        var e = assertThrows(BackendUnavailableException.class,
                () -> Backends.best(List.of(new Broken("one", 2), new Broken("two", 1)), options));
        assertEquals("no backend runs here: one: a device; but it could not be opened: Backend.open: out of memory; "
                + "two: a device; but it could not be opened: Backend.open: out of memory", e.getMessage());
    }

    /** What the logger says at a level meanwhile. */
    private static String logged(String level, Runnable action) {
        StringBuilder text = new StringBuilder();
        Handler handler = new Handler() {
            @Override
            public void publish(LogRecord entry) {
                if (entry.getLevel().getName().equals(level)) {
                    text.append(entry.getMessage()).append('\n');
                }
            }

            @Override
            public void flush() {}

            @Override
            public void close() {}
        };
        Logger logger = Logger.getLogger("isobit");
        logger.addHandler(handler);
        try {
            action.run();
        } finally {
            logger.removeHandler(handler);
        }
        return text.toString();
    }

    @Test
    void unknownNames() {
        for (String name : new String[] {"", "CPU", "gpu"}) {
            var e = assertThrows(IllegalArgumentException.class, () -> Backend.open(name));
            assertTrue(e.getMessage().contains("\"" + name + "\"") && e.getMessage().contains("cpu, reference"),
                    e.getMessage());
        }
    }

    @Test
    void options() {
        System.setProperty("isobit.threads", "3");
        assertEquals(3, BackendOptions.defaults().threads());
        try (Backend backend = Backend.open("cpu")) {
            assertTrue(backend.description().endsWith(", 3 threads"), backend.description());
        }
        System.setProperty("isobit.threads", "0");
        var e = assertThrows(IllegalArgumentException.class, BackendOptions::defaults);
        assertTrue(e.getMessage().contains("threads = 0"), e.getMessage());
        for (String wrong : new String[] {"abc", "", "2.5", "99999999999"}) {
            System.setProperty("isobit.threads", wrong);
            e = assertThrows(IllegalArgumentException.class, BackendOptions::defaults);
            assertEquals("-Disobit.threads: \"" + wrong + "\" is no number", e.getMessage());
        }
        for (int wrong : new int[] {-1, BackendOptions.MAX_THREADS + 1, Integer.MAX_VALUE}) {
            e = assertThrows(IllegalArgumentException.class, () -> new BackendOptions(wrong, 0));
            assertEquals("backend: threads = " + wrong + " is not from 1 to 8192", e.getMessage());
        }
        System.clearProperty("isobit.threads");
        BackendOptions options = BackendOptions.defaults();
        assertEquals(Runtime.getRuntime().availableProcessors(), options.threads());
        assertEquals(new BackendOptions(7, 0), options.withThreads(7));
        assertEquals(new BackendOptions(options.threads(), 2), options.withDeviceOrdinal(2));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> options.withThreads(-1)).getMessage()
                .contains("-1"));
        assertTrue(assertThrows(IllegalArgumentException.class, () -> options.withDeviceOrdinal(-1)).getMessage()
                .contains("-1"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "reference"})
    void memory(String name) {
        try (Backend backend = Backend.open(name)) {
            Tensor tensor = backend.allocate(DType.F32, 3, 5);
            assertTrue(backend.accepts(tensor.memory()));
            assertEquals(0, tensor.address() % 64);
            for (int i = 0; i < 15; i++) {
                assertEquals(0, tensor.get(i));
            }
            assertEquals(0, backend.allocate(0).byteSize());
            assertEquals(1, backend.allocate(DType.F64).elementCount());
            float[] back = new float[15];
            float[] values = new float[15];
            values[14] = 7;
            backend.copy(Tensor.of(values, 15), tensor);
            backend.copy(tensor, Tensor.of(back, 5, 3));
            assertArrayEquals(values, back);
            var e = assertThrows(IsobitException.class, () -> backend.allocate(1L << 60));
            assertTrue(e.getMessage().contains(name + ".allocate") && e.getMessage().contains("" + (1L << 60)),
                    e.getMessage());
            refusedCopy(backend, Tensor.of(new float[2], 2), Tensor.of(new float[3], 3), "element count");
            refusedCopy(backend, Tensor.of(new float[2], 2), Tensor.of(new int[2], 2), "type");
            backend.defaultStream().synchronize();
            backend.defaultStream().close();
            assertEquals(backend, backend.defaultStream().backend());
        }
    }

    private static void refusedCopy(Backend backend, Tensor from, Tensor to, String word) {
        var e = assertThrows(IllegalArgumentException.class, () -> backend.copy(from, to));
        assertTrue(e.getMessage().contains("copy") && e.getMessage().contains(word) && e.getMessage().contains("" + to),
                e.getMessage());
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "reference"})
    void closed(String name) {
        Backend backend = Backend.open(name);
        Tensor tensor = backend.allocate(DType.F32, 2);
        backend.close();
        backend.close();
        String message = "backend " + name + " is closed";
        assertEquals(message, assertThrows(IllegalStateException.class, () -> backend.allocate(8)).getMessage());
        assertEquals(message,
                assertThrows(IllegalStateException.class, () -> backend.copy(tensor, tensor)).getMessage());
    }
}
