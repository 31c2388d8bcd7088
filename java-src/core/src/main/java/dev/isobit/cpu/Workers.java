package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A fixed team of daemon threads, the caller one of them, that works through one task at a time. What there is to do is
 * handed out in shares, large ones first: a member that is held up (another program's work, a slower core) does not hold
 * up the others, and one that comes when all is handed out is not waited for. Nothing is allocated per task. A member
 * waits spinning for a moment and then parks, so that an idle backend costs nothing.
 *
 * <p>Thread-safe: while the team is busy with one caller's task, another caller works through its own alone.
 */
final class Workers implements AutoCloseable {
    /** A task in units of work. Which member does a unit must not show in the result. */
    interface Task {
        /**
         * Does a share; a member may be given several, one after the other.
         *
         * @param member who does it, below {@link #count()}: names scratch memory
         * @param from the first unit
         * @param to behind the last unit
         */
        void run(int member, long from, long to);
    }

    private static final int SPINS = 20_000;
    /** Elements: some ten microseconds of work, a tenth of which it costs to wake a thread. */
    private static final long WORTH_SHARING = 1 << 15;
    /** In {@link #inside}: nobody may join any more. */
    private static final int SHUT = 1 << 30;

    private final Thread[] threads;
    private final ReentrantLock busy = new ReentrantLock();
    /** Members besides the caller that are at work on the task, and {@link #SHUT}. */
    private final AtomicInteger inside = new AtomicInteger(SHUT);
    /** The first unit that nobody has been given. */
    private final AtomicLong next = new AtomicLong();
    private volatile int generation;
    private volatile boolean closed;
    private volatile @Nullable Thread caller;
    private @Nullable Task task;
    private long units;
    private long least;
    private volatile @Nullable Throwable failure;

    Workers(int threads) {
        this.threads = new Thread[threads - 1];
        for (int i = 0; i < this.threads.length; i++) {
            int member = i + 1;
            this.threads[i] = new Thread(() -> serve(member), "isobit-cpu-" + member);
            this.threads[i].setDaemon(true);
            this.threads[i].start();
        }
    }

    int count() {
        return threads.length + 1;
    }

    /** How many units of so many elements each are worth a share; a power of two, which suits what takes rows in groups. */
    static long worthSharing(long elements) {
        return Long.highestOneBit(Math.max(1, WORTH_SHARING / Math.max(1, elements)));
    }

    /** Whether every member may touch the memory: a confined segment belongs to one thread. */
    boolean mayAccess(MemorySegment segment) {
        return threads.length == 0 || segment.isAccessibleBy(threads[0]);
    }

    /**
     * Does all units and returns when they are done.
     *
     * @param task the task
     * @param units how many there are
     * @param least units that are worth another member's time; what is no more than these the calling thread does alone
     * @param parallel false to have the calling thread do everything
     */
    void run(Task task, long units, long least, boolean parallel) {
        if (closed) {
            throw new IllegalStateException("backend cpu is closed");
        }
        if (!parallel || units <= least || threads.length == 0 || busy.isHeldByCurrentThread() || !busy.tryLock()) {
            task.run(0, 0, units);
            return;
        }
        try {
            if (closed) {
                throw new IllegalStateException("backend cpu is closed");
            }
            this.task = task;
            this.units = units;
            this.least = least;
            failure = null;
            caller = Thread.currentThread();
            next.set(0);
            inside.set(0);
            generation++;
            for (Thread thread : threads) {
                LockSupport.unpark(thread);
            }
            try {
                work(task, 0);
            } finally {
                next.set(units);
                inside.addAndGet(SHUT);
                await();
                this.task = null;
                caller = null;
            }
            rethrow(failure);
        } finally {
            busy.unlock();
        }
    }

    private void work(Task mine, int member) {
        for (long from = next.get(); from < units; from = next.get()) {
            long share = (units - from) / (count() + 1) / least * least;
            long to = Math.min(units, from + Math.max(least, share));
            if (next.compareAndSet(from, to)) {
                mine.run(member, from, to);
            }
        }
    }

    private void await() {
        for (int spin = 0; inside.get() != SHUT;) {
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

    private void serve(int member) {
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
            if (join()) {
                Task mine = task;
                try {
                    if (mine != null) {
                        work(mine, member);
                    }
                } catch (RuntimeException | Error e) {
                    failure = e;
                    next.set(units);
                }
                Thread waiting = caller;
                if (inside.decrementAndGet() == SHUT && waiting != null) {
                    LockSupport.unpark(waiting);
                }
            }
        }
    }

    private boolean join() {
        for (;;) {
            int members = inside.get();
            if (members >= SHUT) {
                return false;
            }
            if (inside.compareAndSet(members, members + 1)) {
                return true;
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
