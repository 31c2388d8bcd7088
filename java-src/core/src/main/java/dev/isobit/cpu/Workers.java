package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A fixed team of daemon threads, the caller one of them, that runs the parts of one task at a time. Nothing is
 * allocated per task. A member waits spinning for a moment and then parks, so that an idle backend costs nothing.
 *
 * <p>Thread-safe: while the team is busy with one caller's task, another caller does its parts alone.
 */
final class Workers implements AutoCloseable {
    /** A task in parts, any of which any thread may run. */
    interface Task {
        /**
         * Runs one part.
         *
         * @param part from 0
         * @param parts how many there are
         */
        void run(int part, int parts);
    }

    private static final int SPINS = 20_000;

    private final Thread[] threads;
    private final ReentrantLock busy = new ReentrantLock();
    private final AtomicInteger running = new AtomicInteger();
    private volatile int generation;
    private volatile boolean closed;
    private volatile @Nullable Thread caller;
    private @Nullable Task task;
    private int parts;
    private volatile @Nullable Throwable failure;

    Workers(int threads) {
        this.threads = new Thread[threads - 1];
        for (int i = 0; i < this.threads.length; i++) {
            int part = i + 1;
            this.threads[i] = new Thread(() -> work(part), "isobit-cpu-" + part);
            this.threads[i].setDaemon(true);
            this.threads[i].start();
        }
    }

    int count() {
        return threads.length + 1;
    }

    /** Whether every member may touch the memory: a confined segment belongs to one thread. */
    boolean mayAccess(MemorySegment segment) {
        return threads.length == 0 || segment.isAccessibleBy(threads[0]);
    }

    /**
     * Runs all parts and returns when they are done.
     *
     * @param task the task
     * @param parallel false to have the calling thread do them all
     */
    void run(Task task, boolean parallel) {
        if (closed) {
            throw new IllegalStateException("backend cpu is closed");
        }
        if (!parallel || threads.length == 0 || busy.isHeldByCurrentThread() || !busy.tryLock()) {
            task.run(0, 1);
            return;
        }
        try {
            if (closed) {
                throw new IllegalStateException("backend cpu is closed");
            }
            this.task = task;
            parts = threads.length + 1;
            failure = null;
            caller = Thread.currentThread();
            running.set(threads.length);
            generation++;
            for (Thread thread : threads) {
                LockSupport.unpark(thread);
            }
            try {
                task.run(0, parts);
            } finally {
                await();
                this.task = null;
                caller = null;
            }
            rethrow(failure);
        } finally {
            busy.unlock();
        }
    }

    private void await() {
        for (int spin = 0; running.get() != 0;) {
            if (spin < SPINS) {
                spin++;
                Thread.onSpinWait();
            } else {
                LockSupport.park(this);
            }
        }
    }

    private static void rethrow(@Nullable Throwable failure) {
        if (failure instanceof RuntimeException e) {
            throw e;
        }
        if (failure instanceof Error e) {
            throw e;
        }
    }

    private void work(int part) {
        int done = 0;
        while (!closed) {
            int current = generation;
            for (int spin = 0; current == done && spin < SPINS; spin++) {
                Thread.onSpinWait();
                current = generation;
            }
            if (current == done) {
                LockSupport.park(this);
                continue;
            }
            done = current;
            Task mine = task;
            try {
                if (mine != null) {
                    mine.run(part, parts);
                }
            } catch (RuntimeException | Error e) {
                failure = e;
            }
            Thread waiting = caller;
            if (running.decrementAndGet() == 0 && waiting != null) {
                LockSupport.unpark(waiting);
            }
        }
    }

    /** Ends the threads. Idempotent; a task in work is finished first. */
    @Override
    public void close() {
        busy.lock();
        try {
            closed = true;
            for (Thread thread : threads) {
                LockSupport.unpark(thread);
            }
        } finally {
            busy.unlock();
        }
    }
}
