package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * A fixed team of daemon threads, the caller one of them, that works through one task at a time. Each member has a range
 * of its own, the same from task to task, so that it meets what its core's caches still hold, and takes halves of what is
 * left of it. One whose range is done takes halves of the others' from behind: a member that is held up (another
 * program's work, a slower core) does not hold up the others, and one that comes when all is handed out is not waited
 * for. Nothing is allocated per task. A member waits spinning for a moment and then parks, so that an idle backend costs
 * nothing.
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
    /** Between the ranges of two members, in longs: two cache lines. */
    private static final int APART = 16;

    private final Thread[] threads;
    private final ReentrantLock busy = new ReentrantLock();
    /** Members besides the caller that are at work on the task, and {@link #SHUT}. */
    private final AtomicInteger inside = new AtomicInteger(SHUT);
    /** What nobody has been given of each member's range: the first block, and in the low half the one behind the last. */
    private final AtomicLongArray ranges;
    private volatile int generation;
    private volatile boolean closed;
    private volatile @Nullable Thread caller;
    private @Nullable Task task;
    private long units;
    /** Units of a block, of which shares are made. */
    private long block;
    private volatile @Nullable Throwable failure;

    Workers(int threads) {
        this.threads = new Thread[threads - 1];
        ranges = new AtomicLongArray((threads + 1) * APART);
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
            block = least;
            while (Math.ceilDiv(units, block) > Integer.MAX_VALUE) {
                block *= 2;
            }
            failure = null;
            caller = Thread.currentThread();
            long blocks = Math.ceilDiv(units, block);
            for (int member = 0; member < count(); member++) {
                set(member, (int) (blocks * member / count()), (int) (blocks * (member + 1) / count()));
            }
            inside.set(0);
            generation++;
            for (Thread thread : threads) {
                LockSupport.unpark(thread);
            }
            try {
                work(task, 0);
            } finally {
                giveNothing();
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
        for (int from = member; from >= 0; from = left(member) > 0 ? member : richest()) {
            long range = ranges.get(at(from));
            int first = (int) (range >>> 32);
            int end = (int) range;
            if (first < end) {
                int half = (end - first + 1) / 2;
                boolean own = from == member;
                int to = own ? first + half : end - half;
                if (ranges.compareAndSet(at(from), range, own ? range(to, end) : range(first, to))) {
                    mine.run(member, (own ? first : to) * block, Math.min((own ? to : end) * block, units));
                }
            }
        }
    }

    /** The member with the most blocks left, or -1 if all are given. */
    private int richest() {
        int richest = -1;
        int most = 0;
        for (int member = 0; member < count(); member++) {
            int left = left(member);
            if (left > most) {
                most = left;
                richest = member;
            }
        }
        return richest;
    }

    private int left(int member) {
        long range = ranges.get(at(member));
        return (int) range - (int) (range >>> 32);
    }

    private void set(int member, int first, int end) {
        ranges.set(at(member), range(first, end));
    }

    private static long range(int first, int end) {
        return (long) first << 32 | end;
    }

    private static int at(int member) {
        return (member + 1) * APART;
    }

    private void giveNothing() {
        for (int member = 0; member < count(); member++) {
            set(member, 0, 0);
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
                    giveNothing();
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
