package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import java.text.MessageFormat;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What is forgotten is told to the log, and goes with its backend, never before. */
@RecorderTest
class RecorderLeakTest {
    private final Set<String> messages = ConcurrentHashMap.newKeySet();
    private final Logger logger = Logger.getLogger("isobit");
    private final Handler handler = new Handler() {
        @Override
        public void publish(LogRecord entry) {
            messages.add(MessageFormat.format(entry.getMessage(), entry.getParameters()));
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    };

    @BeforeEach
    void listen() {
        logger.addHandler(handler);
        logger.setUseParentHandlers(false);
    }

    @AfterEach
    void stop() {
        logger.removeHandler(handler);
        logger.setUseParentHandlers(true);
    }

    private void awaitMessages(List<String> expected) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (!messages.containsAll(expected) && System.nanoTime() < end) {
            System.gc();
            Thread.sleep(20);
        }
        assertTrue(messages.containsAll(expected), messages.toString());
    }

    @Test
    void whatIsForgottenIsToldAndStaysUntilItsBackendIsClosed(Recorder recorder) throws InterruptedException {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda")) {
            forget(backend);
            awaitMessages(List.of("DeviceMemory of 1234 bytes was never closed: it stays until its backend is closed",
                    "PinnedMemory of 56 bytes was never closed: it stays until its backend is closed",
                    "CudaStream was never closed: it stays until its backend is closed",
                    "CudaEvent was never closed: it stays until its backend is closed"));
            assertEquals(1, recorder.live("device"));
            assertEquals(1, recorder.live("pinned"));
            assertEquals(2, recorder.live("stream"));
            assertEquals(1, recorder.live("event"));
        }
    }

    private static void forget(CudaBackend backend) {
        backend.allocate(1234);
        backend.allocatePinned(56);
        backend.newStream();
        backend.newEvent();
    }

    @Test
    void whatIsClosedIsNotTold() throws InterruptedException {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda")) {
            close(backend);
            backend.allocate(77);
            awaitMessages(List.of("DeviceMemory of 77 bytes was never closed: it stays until its backend is closed"));
            assertEquals(1, messages.size(), messages.toString());
        }
    }

    private static void close(CudaBackend backend) {
        backend.allocate(5).close();
        backend.allocatePinned(5).close();
        backend.newStream().close();
        backend.newEvent().close();
    }

    @Test
    void aForgottenBackendIsTold(Recorder recorder) throws InterruptedException {
        Backend.open("cuda");
        awaitMessages(List.of("CudaBackend of device 0 was never closed: what it holds stays until the process ends"));
        assertEquals(1, recorder.live("context"));
        assertEquals(1, recorder.live("stream"));
        // As the end of the process would: the context takes the stream along.
        recorder.driver("cuDevicePrimaryCtxRelease_v2", 0);
        assertEquals(List.of("leaked: a stream"), recorder.violations());
        recorder.reset();
    }
}
