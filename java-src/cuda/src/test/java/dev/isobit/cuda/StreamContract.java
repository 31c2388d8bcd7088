package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Streams and events, own and foreign: on every driver. */
abstract class StreamContract {
    CudaBackend backend;

    @BeforeEach
    void open() {
        backend = (CudaBackend) Backend.open("cuda");
    }

    @AfterEach
    void close() {
        backend.close();
    }

    @Test
    void theDefaultStreamIsTheBackends() {
        CudaStream stream = backend.defaultStream();
        assertSame(backend, stream.backend());
        stream.synchronize();
        stream.close();
        stream.synchronize();
    }

    @Test
    void aForeignStreamIsWrappedAndStaysItsOwners() {
        try (CudaStream owner = backend.newStream()) {
            CudaStream wrapped = backend.wrapStream(owner.handle());
            assertEquals(owner.handle(), wrapped.handle());
            wrapped.synchronize();
            wrapped.close();
            wrapped.close();
            var e = assertThrows(IllegalStateException.class, wrapped::synchronize);
            assertEquals("Stream.synchronize: the stream is closed", e.getMessage());
            owner.synchronize();
        }
    }

    @Test
    void theLegacyDefaultStreamCanBeWrapped() {
        try (CudaStream legacy = backend.wrapStream(0)) {
            assertEquals(0, legacy.handle());
            legacy.synchronize();
        }
    }

    @Test
    void eventsOrderStreamsAndTellTime() {
        try (CudaStream first = backend.newStream();
                CudaStream second = backend.newStream();
                CudaEvent start = backend.newEvent();
                CudaEvent end = backend.newEvent()) {
            start.record(first);
            second.waitFor(start);
            end.record(second);
            end.synchronize();
            float milliseconds = end.millisecondsSince(start);
            assertTrue(milliseconds >= 0 && milliseconds < 10_000, "" + milliseconds);
        }
    }

    @Test
    void closedOnesAreRefused() {
        CudaEvent event = backend.newEvent();
        CudaStream stream = backend.newStream();
        stream.close();
        stream.close();
        assertThrows(IllegalStateException.class, stream::synchronize);
        assertThrows(IllegalStateException.class, () -> event.record(stream));
        assertThrows(IllegalStateException.class,
                () -> CrossEntropy.on(backend, CrossEntropyOptions.defaults(), stream));
        event.close();
        event.close();
        assertThrows(IllegalStateException.class, () -> event.record(backend.defaultStream()));
        assertThrows(IllegalStateException.class, event::synchronize);
    }

    @Test
    void aStreamOfAnotherBackendIsRefused() {
        try (Backend other = Backend.open("cuda")) {
            var e = assertThrows(IllegalArgumentException.class,
                    () -> CrossEntropy.on(backend, CrossEntropyOptions.defaults(), other.defaultStream()));
            assertTrue(e.getMessage().startsWith("CrossEntropy.on: the stream belongs to backend cuda"),
                    e.getMessage());
        }
    }

    /** Contexts are per thread: a fresh thread has none until a call makes it current. */
    @Test
    void anyThreadWillDo() throws InterruptedException {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Thread thread = new Thread(() -> {
            backend.allocate(64).close();
            try (CudaStream stream = backend.newStream()) {
                stream.synchronize();
            }
        });
        thread.setUncaughtExceptionHandler((t, e) -> failure.set(e));
        thread.start();
        thread.join();
        assertEquals(null, failure.get());
    }
}
