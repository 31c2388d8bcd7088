package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The team of threads. A hang is the failure most to be feared, so that every test has a limit. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class WorkersTest {
    /** Threads that work for teams, alive. */
    private static Set<Thread> alive() {
        Set<Thread> found = Collections.newSetFromMap(new ConcurrentHashMap<>());
        Thread.getAllStackTraces().keySet().stream().filter(t -> t.getName().startsWith("isobit-cpu-"))
                .forEach(found::add);
        return found;
    }

    private static Set<Thread> startedBy(Runnable start) {
        Set<Thread> before = alive();
        start.run();
        Set<Thread> after = alive();
        after.removeAll(before);
        return after;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 16})
    void everyPartRunsOnce(int threads) {
        try (Workers workers = new Workers(threads)) {
            assertEquals(threads, workers.count());
            for (int repeat = 0; repeat < 200; repeat++) {
                AtomicInteger[] runs = new AtomicInteger[threads];
                Set<Thread> members = ConcurrentHashMap.newKeySet();
                for (int i = 0; i < threads; i++) {
                    runs[i] = new AtomicInteger();
                }
                workers.run((part, parts) -> {
                    assertEquals(threads, parts);
                    members.add(Thread.currentThread());
                    runs[part].incrementAndGet();
                }, true);
                for (AtomicInteger run : runs) {
                    assertEquals(1, run.get());
                }
                assertEquals(threads, members.size());
                assertTrue(members.contains(Thread.currentThread()));
            }
        }
    }

    @Test
    void onePartForTheCallerAlone() {
        try (Workers workers = new Workers(3)) {
            List<String> runs = Collections.synchronizedList(new ArrayList<>());
            workers.run((part, parts) -> runs.add(part + "/" + parts + Thread.currentThread().threadId()), false);
            assertEquals(List.of("0/1" + Thread.currentThread().threadId()), runs);
        }
    }

    @Test
    void aTaskMayRunAnother() {
        try (Workers workers = new Workers(2)) {
            AtomicInteger inner = new AtomicInteger();
            workers.run((part, parts) -> workers.run((p, n) -> {
                assertEquals(1, n);
                inner.incrementAndGet();
            }, true), true);
            assertEquals(2, inner.get());
        }
    }

    /** Of a worker, of the caller, of both: it reaches the caller after all parts have ended, and the team goes on. */
    @Test
    void exceptionsReachTheCaller() {
        try (Workers workers = new Workers(3)) {
            List<Throwable> all = List.of(new IllegalStateException("state"), new StackOverflowError("stack"),
                    new IndexOutOfBoundsException("index"));
            for (Throwable thrown : all) {
                for (int bad = 0; bad < 3; bad++) {
                    int which = bad;
                    AtomicInteger ended = new AtomicInteger();
                    var caught = assertThrows(Throwable.class, () -> workers.run((part, parts) -> {
                        if (part == which) {
                            ended.incrementAndGet();
                            raise(thrown);
                        }
                        pause(5);
                        ended.incrementAndGet();
                    }, true));
                    assertSame(thrown, caught);
                    assertEquals(3, ended.get(), "a part was still running");
                }
                assertThrows(Throwable.class, () -> workers.run((part, parts) -> raise(thrown), true));
            }
            AtomicInteger sum = new AtomicInteger();
            workers.run((part, parts) -> sum.addAndGet(part), true);
            assertEquals(3, sum.get());
        }
    }

    private static void raise(Throwable thrown) {
        if (thrown instanceof Error e) {
            throw e;
        }
        throw (RuntimeException) thrown;
    }

    private static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    /** While the team works for one caller, another does its own work. */
    @Test
    void twoCallers() throws Exception {
        try (Workers workers = new Workers(2)) {
            CountDownLatch inside = new CountDownLatch(2);
            CountDownLatch release = new CountDownLatch(1);
            Thread first = Thread.ofPlatform().start(() -> workers.run((part, parts) -> {
                inside.countDown();
                await(release);
            }, true));
            await(inside);
            List<Integer> parts = new ArrayList<>();
            workers.run((part, n) -> parts.add(n), true);
            assertEquals(List.of(1), parts);
            release.countDown();
            first.join();
            AtomicInteger again = new AtomicInteger();
            workers.run((part, n) -> again.incrementAndGet(), true);
            assertEquals(2, again.get());
        }
    }

    private static void await(CountDownLatch latch) {
        try {
            assertTrue(latch.await(30, TimeUnit.SECONDS));
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Test
    void anInterruptedCallerFinishes() {
        try (Workers workers = new Workers(2)) {
            AtomicInteger ended = new AtomicInteger();
            Thread.currentThread().interrupt();
            workers.run((part, parts) -> {
                if (part == 1) {
                    pause(50);
                }
                ended.incrementAndGet();
            }, true);
            assertTrue(Thread.interrupted());
            assertEquals(2, ended.get());
        }
    }

    @Test
    void threadsAreDaemonsAndWaitForWorkAtRest() throws Exception {
        AtomicReference<Workers> workers = new AtomicReference<>();
        Set<Thread> threads = startedBy(() -> workers.set(new Workers(4)));
        assertEquals(3, threads.size());
        assertTrue(threads.stream().allMatch(Thread::isDaemon));
        workers.get().run((part, parts) -> {}, true);
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!threads.stream().allMatch(t -> t.getState() == Thread.State.WAITING)) {
            assertTrue(System.nanoTime() < deadline, "an idle team still spins");
            Thread.sleep(1);
        }
        workers.get().close();
        for (Thread thread : threads) {
            thread.join(30_000);
            assertFalse(thread.isAlive());
        }
    }

    @Test
    void closedTwiceAndUsedAfterwards() {
        Workers workers = new Workers(2);
        workers.close();
        workers.close();
        for (boolean parallel : new boolean[] {false, true}) {
            var e = assertThrows(IllegalStateException.class, () -> workers.run((part, parts) -> {}, parallel));
            assertEquals("backend cpu is closed", e.getMessage());
        }
    }

    @Test
    void closeWaitsForTheTaskInWork() throws Exception {
        Workers workers = new Workers(2);
        CountDownLatch inside = new CountDownLatch(2);
        AtomicInteger ended = new AtomicInteger();
        Thread caller = Thread.ofPlatform().start(() -> workers.run((part, parts) -> {
            inside.countDown();
            pause(50);
            ended.incrementAndGet();
        }, true));
        await(inside);
        workers.close();
        assertEquals(2, ended.get());
        caller.join();
    }

    /** A task that begins while the team is closed runs or is refused; its caller never waits for threads that are gone. */
    @Test
    void closingWhileTasksBegin() throws Exception {
        for (int i = 0; i < 400; i++) {
            Workers workers = new Workers(2);
            AtomicReference<Throwable> unexpected = new AtomicReference<>();
            Thread caller = Thread.ofPlatform().daemon().start(() -> {
                try {
                    while (true) {
                        workers.run((part, parts) -> {}, true);
                    }
                } catch (IllegalStateException e) {
                    // closed
                } catch (Throwable e) {
                    unexpected.set(e);
                }
            });
            if (i % 3 == 0) {
                Thread.onSpinWait();
            } else {
                Thread.yield();
            }
            workers.close();
            caller.join(10_000);
            assertFalse(caller.isAlive(), "a caller waits for ever");
            assertEquals(null, unexpected.get());
        }
    }

    @Test
    void confinedMemoryIsTheCallersAlone() throws Exception {
        try (Workers one = new Workers(1); Workers two = new Workers(2); Arena arena = Arena.ofConfined()) {
            MemorySegment confined = arena.allocate(8);
            assertTrue(one.mayAccess(confined));
            assertFalse(two.mayAccess(confined));
            assertTrue(two.mayAccess(Arena.ofAuto().allocate(8)));
            assertTrue(two.mayAccess(Arena.global().allocate(8)));
            assertTrue(two.mayAccess(MemorySegment.ofArray(new float[2])));
            try (Arena shared = Arena.ofShared()) {
                assertTrue(two.mayAccess(shared.allocate(8)));
            }
        }
    }
}
