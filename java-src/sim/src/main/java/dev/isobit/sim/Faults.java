package dev.isobit.sim;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Faults on demand: which call of which function of the driver fails, and how. A function that releases something
 * releases it all the same and then tells the error, as the real driver tells errors of earlier work; any other that is
 * told to fail does nothing else. A result that takes the context along does so.
 *
 * <p>Thread-safe. Owned by {@link SimulatedDriver}.
 */
public final class Faults {
    private final List<Fault> planned = new ArrayList<>();
    private boolean paused;

    /** One fault. */
    private static final class Fault {
        private final String function;
        private final long call;
        private final @Nullable Result result;
        private final long delayMillis;
        private final boolean removes;
        private long seen;
        private boolean fired;

        Fault(String function, long call, @Nullable Result result, long delayMillis, boolean removes) {
            this.function = function;
            this.call = call;
            this.result = result;
            this.delayMillis = delayMillis;
            this.removes = removes;
        }
    }

    /**
     * What becomes of a call.
     *
     * @param result what it returns; null where it goes on
     * @param removes whether all devices are gone when it comes
     */
    record Outcome(@Nullable Result result, boolean removes) {}

    Faults() {}

    /**
     * Lets a call fail.
     *
     * @param function the function's name as in the library, such as {@code cuMemAlloc_v2}
     * @param call which call from now on, 1 the next; 0 for every call
     * @param result what it returns; not success
     * @throws IllegalArgumentException if the driver has no such function
     */
    public void fail(String function, long call, Result result) {
        if (result == Result.SUCCESS) {
            throw new IllegalArgumentException("a fault with the result SUCCESS");
        }
        add(new Fault(function, call, result, 0, false));
    }

    /**
     * Lets a call take its time.
     *
     * @param function the function's name as in the library
     * @param call which call from now on, 1 the next; 0 for every call
     * @param milliseconds how long the call waits before it does what it is asked to
     * @throws IllegalArgumentException if the driver has no such function
     */
    public void delay(String function, long call, long milliseconds) {
        add(new Fault(function, call, null, milliseconds, false));
    }

    /**
     * Lets all devices be gone when a call comes, as {@link SimulatedDriver#setDevicesRemoved} does it.
     *
     * @param function the function's name as in the library
     * @param call which call from now on, 1 the next
     * @throws IllegalArgumentException if the driver has no such function
     */
    public void removeDevices(String function, long call) {
        add(new Fault(function, call, null, 0, true));
    }

    private synchronized void add(Fault fault) {
        if (!DriverFunctions.NAMES.contains(fault.function)) {
            throw new IllegalArgumentException("the simulated driver has no function " + fault.function);
        }
        planned.add(fault);
    }

    /**
     * Lets calls neither fail nor count for a while.
     *
     * @param pause whether faults pause
     */
    public synchronized void pause(boolean pause) {
        paused = pause;
    }

    /** Forgets all faults, fired or not. */
    public synchronized void clear() {
        planned.clear();
    }

    /**
     * How many of the faults asked for since the last {@link #clear} have come true.
     *
     * @return a count of faults, not of calls
     */
    public synchronized int fired() {
        return (int) planned.stream().filter(fault -> fault.fired).count();
    }

    /** Counts a call; waits if it is to be slow. */
    Outcome next(String function) throws InterruptedException {
        Result result = null;
        boolean removes = false;
        long delay = 0;
        synchronized (this) {
            for (Fault fault : planned) {
                if (!paused && fault.function.equals(function)) {
                    fault.seen++;
                    if (fault.call == 0 || fault.seen == fault.call) {
                        fault.fired = true;
                        delay += fault.delayMillis;
                        removes |= fault.removes;
                        result = result == null ? fault.result : result;
                    }
                }
            }
        }
        if (delay > 0) {
            Thread.sleep(delay);
        }
        return new Outcome(result, removes);
    }
}
