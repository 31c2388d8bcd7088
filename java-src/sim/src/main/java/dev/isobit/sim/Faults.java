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

    /** One fault. */
    private static final class Fault {
        private final String function;
        private final long call;
        private final @Nullable Result result;
        private final long delayMillis;
        private long seen;
        private boolean fired;

        Fault(String function, long call, @Nullable Result result, long delayMillis) {
            this.function = function;
            this.call = call;
            this.result = result;
            this.delayMillis = delayMillis;
        }
    }

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
        add(new Fault(function, call, result, 0));
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
        add(new Fault(function, call, null, milliseconds));
    }

    private synchronized void add(Fault fault) {
        if (!DriverFunctions.NAMES.contains(fault.function)) {
            throw new IllegalArgumentException("the simulated driver has no function " + fault.function);
        }
        planned.add(fault);
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

    /** Counts a call; waits if it is to be slow. What it is to return; null where it goes on. */
    @Nullable
    Result next(String function) throws InterruptedException {
        Result result = null;
        long delay = 0;
        synchronized (this) {
            for (Fault fault : planned) {
                if (fault.function.equals(function)) {
                    fault.seen++;
                    if (fault.call == 0 || fault.seen == fault.call) {
                        fault.fired = true;
                        delay += fault.delayMillis;
                        result = result == null ? fault.result : result;
                    }
                }
            }
        }
        if (delay > 0) {
            Thread.sleep(delay);
        }
        return result;
    }
}
