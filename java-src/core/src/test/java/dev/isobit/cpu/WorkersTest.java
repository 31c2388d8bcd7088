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
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.AtomicReferenceArray;
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
    void everyUnitIsDoneOnce(int threads) {
        try (Workers workers = new Workers(threads)) {
            assertEquals(threads, workers.count());
            for (int repeat = 0; repeat < 200; repeat++) {
                int units = 1 + repeat * 7;
                int least = 1 + repeat % 5;
                AtomicIntegerArray done = new AtomicIntegerArray(units);
                AtomicReferenceArray<Thread> members = new AtomicReferenceArray<>(threads);
                workers.run((member, from, to) -> {
                    assertTrue(from < to);
                    members.compareAndSet(member, null, Thread.currentThread());
                    assertSame(members.get(member), Thread.currentThread());
                    for (long unit = from; unit < to; unit++) {
                        done.incrementAndGet((int) unit);
                    }
                }, units, least, true);
                for (int unit = 0; unit < units; unit++) {
                    assertEquals(1, done.get(unit));
                }
            }
        }
    }

    /** All members get something where all come in time, and the first shares are larger than the last. */
    @Test
    void sharesBecomeSmaller() {
        try (Workers workers = new Workers(3)) {
            CountDownLatch all = new CountDownLatch(3);
            Set<Thread> members = ConcurrentHashMap.newKeySet();
            List<Long> shares = Collections.synchronizedList(new ArrayList<>());
            workers.run((member, from, to) -> {
                shares.add(to - from);
                if (members.add(Thread.currentThread())) {
                    all.countDown();
                    await(all);
                }
            }, 1000, 10, true);
            assertEquals(3, members.size());
            assertEquals(170, Collections.max(shares));
            assertEquals(10, Collections.min(shares));
            assertEquals(1000, shares.stream().mapToLong(Long::longValue).sum());
        }
    }

    /** What a member begins with is the same from task to task, and nobody else's where all come in time. */
    @Test
    void aMemberHasARangeOfItsOwn() {
        try (Workers workers = new Workers(3)) {
            for (int repeat = 0; repeat < 20; repeat++) {
                CountDownLatch all = new CountDownLatch(3);
                AtomicReferenceArray<String> first = new AtomicReferenceArray<>(3);
                workers.run((member, from, to) -> {
                    if (first.compareAndSet(member, null, from + " " + to)) {
                        all.countDown();
                        await(all);
                    }
                }, 1000, 10, true);
                assertEquals(List.of("0 170", "330 500", "660 830"), List.of(first.get(0), first.get(1), first.get(2)));
            }
        }
    }

    /** A member that is held up in its first share does that one alone; the others do what is left. */
    @Test
    void aMemberThatIsHeldUpDoesNotHoldUpTheOthers() {
        try (Workers workers = new Workers(2)) {
            CountDownLatch rest = new CountDownLatch(1);
            Thread caller = Thread.currentThread();
            AtomicLong byCaller = new AtomicLong();
            AtomicLong byOther = new AtomicLong();
            CountDownLatch joined = new CountDownLatch(1);
            workers.run((member, from, to) -> {
                if (Thread.currentThread() == caller) {
                    await(joined);
                    if (byCaller.addAndGet(to - from) + byOther.get() == 100) {
                        rest.countDown();
                    }
                } else {
                    byOther.addAndGet(to - from);
                    joined.countDown();
                    await(rest);
                }
            }, 100, 1, true);
            assertEquals(100, byCaller.get() + byOther.get());
            assertTrue(byOther.get() <= 25, "the member that was held up did " + byOther);
        }
    }

    @Test
    void theCallerAlone() {
        try (Workers workers = new Workers(3)) {
            List<String> runs = Collections.synchronizedList(new ArrayList<>());
            workers.run((member, from, to) -> runs.add(member + " " + from + " " + to + Thread.currentThread()), 9, 1,
                    false);
            workers.run((member, from, to) -> runs.add(member + " " + from + " " + to + Thread.currentThread()), 4, 4,
                    true);
            assertEquals(List.of("0 0 9" + Thread.currentThread(), "0 0 4" + Thread.currentThread()), runs);
        }
    }

    @Test
    void aTaskMayRunAnother() {
        try (Workers workers = new Workers(2)) {
            AtomicInteger inner = new AtomicInteger();
            workers.run((member, from, to) -> {
                for (long unit = from; unit < to; unit++) {
                    workers.run((m, f, t) -> inner.addAndGet((int) (t - f)), 3, 1, true);
                }
            }, 2, 1, true);
            assertEquals(6, inner.get());
        }
    }

    /** Of a worker, of the caller, of both: it reaches the caller after all who began have ended, and the team goes on. */
    @Test
    void exceptionsReachTheCaller() {
        try (Workers workers = new Workers(3)) {
            List<Throwable> all = List.of(new IllegalStateException("state"), new StackOverflowError("stack"),
                    new IndexOutOfBoundsException("index"));
            for (Throwable thrown : all) {
                for (int bad = 0; bad < 3; bad++) {
                    int which = bad;
                    AtomicInteger inside = new AtomicInteger();
                    CountDownLatch began = new CountDownLatch(3);
                    var caught = assertThrows(Throwable.class, () -> workers.run((member, from, to) -> {
                        inside.incrementAndGet();
                        try {
                            began.countDown();
                            await(began);
                            if (member == which) {
                                raise(thrown);
                            }
                            pause(5);
                        } finally {
                            inside.decrementAndGet();
                        }
                    }, 3, 1, true));
                    assertSame(thrown, caught);
                    assertEquals(0, inside.get(), "a member was still at work");
                }
                assertThrows(Throwable.class, () -> workers.run((member, from, to) -> raise(thrown), 3, 1, true));
            }
            AtomicInteger sum = new AtomicInteger();
            workers.run((member, from, to) -> sum.addAndGet((int) (to - from)), 300, 1, true);
            assertEquals(300, sum.get());
        }
    }

    /** What nobody has begun when a member fails is not begun any more. */
    @Test
    void aFailureEndsTheTask() {
        try (Workers workers = new Workers(2)) {
            AtomicInteger begun = new AtomicInteger();
            assertThrows(IllegalStateException.class, () -> workers.run((member, from, to) -> {
                begun.incrementAndGet();
                throw new IllegalStateException();
            }, 1000, 1, true));
            assertTrue(begun.get() <= 2, begun + " shares were begun");
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
            Thread first = Thread.ofPlatform().start(() -> workers.run((member, from, to) -> {
                inside.countDown();
                await(release);
            }, 2, 1, true));
            await(inside);
            List<Long> shares = new ArrayList<>();
            workers.run((member, from, to) -> shares.add(to - from), 100, 1, true);
            assertEquals(List.of(100L), shares);
            release.countDown();
            first.join();
            CountDownLatch again = new CountDownLatch(2);
            workers.run((member, from, to) -> {
                again.countDown();
                await(again);
            }, 2, 1, true);
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
            AtomicInteger began = new AtomicInteger();
            workers.run((member, from, to) -> {
                began.incrementAndGet();
                while (began.get() < 2) {
                    Thread.onSpinWait();
                }
                if (member == 1) {
                    pause(50);
                }
                ended.incrementAndGet();
            }, 2, 1, true);
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
        workers.get().run((member, from, to) -> {}, 4, 1, true);
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
            var e = assertThrows(IllegalStateException.class,
                    () -> workers.run((member, from, to) -> {}, 2, 1, parallel));
            assertEquals("backend cpu is closed", e.getMessage());
        }
    }

    @Test
    void closeWaitsForTheTaskInWork() throws Exception {
        Workers workers = new Workers(2);
        CountDownLatch inside = new CountDownLatch(2);
        AtomicInteger ended = new AtomicInteger();
        Thread caller = Thread.ofPlatform().start(() -> workers.run((member, from, to) -> {
            inside.countDown();
            await(inside);
            pause(50);
            ended.incrementAndGet();
        }, 2, 1, true));
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
                        workers.run((member, from, to) -> {}, 4, 1, true);
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
