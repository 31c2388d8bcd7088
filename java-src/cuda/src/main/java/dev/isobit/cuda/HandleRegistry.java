package dev.isobit.cuda;

import java.lang.ref.Cleaner;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;

/**
 * Every native handle of a backend. A handle has one owner, which releases it once; one whose owner was forgotten is
 * told to the log, never released in silence, and goes with the backend.
 */
final class HandleRegistry {
    private static final System.Logger LOG = System.getLogger("isobit");
    private static final Cleaner CLEANER = Cleaner.create();

    private final Set<OwnedHandle> live = new LinkedHashSet<>();

    /**
     * Registers a handle.
     *
     * @param owner who will release it; the release must not refer to it
     * @param what the handle in words, for the log
     * @param release releases it; called at most once
     */
    OwnedHandle own(Object owner, String what, Runnable release) {
        OwnedHandle handle = new OwnedHandle(this, what, release);
        synchronized (live) {
            live.add(handle);
        }
        CLEANER.register(owner, handle::forgotten);
        return handle;
    }

    /** Releases what is left, the newest first, and goes on after a failure. */
    void releaseAll(List<RuntimeException> failures) {
        List<OwnedHandle> left;
        synchronized (live) {
            left = new ArrayList<>(live);
        }
        for (OwnedHandle handle : left.reversed()) {
            attempt(failures, handle::release);
        }
    }

    /** Does one step of closing something; a failure is kept for later. */
    static void attempt(List<RuntimeException> failures, Runnable step) {
        try {
            step.run();
        } catch (RuntimeException e) {
            failures.add(e);
        }
    }

    /** Tells the log if an owner is forgotten while it is not closed. */
    static void watch(Object owner, String what, BooleanSupplier closed) {
        CLEANER.register(owner, () -> {
            if (!closed.getAsBoolean()) {
                LOG.log(System.Logger.Level.WARNING, "{0} was never closed: what it holds stays until the process ends",
                        what);
            }
        });
    }

    /** One native handle. */
    static final class OwnedHandle {
        private final HandleRegistry registry;
        private final String what;
        private final Runnable release;
        private volatile boolean released;

        private OwnedHandle(HandleRegistry registry, String what, Runnable release) {
            this.registry = registry;
            this.what = what;
            this.release = release;
        }

        boolean isAlive() {
            return !released;
        }

        void release() {
            synchronized (this) {
                if (released) {
                    return;
                }
                released = true;
            }
            synchronized (registry.live) {
                registry.live.remove(this);
            }
            release.run();
        }

        private void forgotten() {
            if (!released) {
                LOG.log(System.Logger.Level.WARNING,
                        "{0} was never closed: it stays until its backend is closed", what);
            }
        }
    }

    /** Throws the first of some failures with the others suppressed; does nothing if there are none. */
    static void raise(List<RuntimeException> failures) {
        if (!failures.isEmpty()) {
            RuntimeException first = failures.getFirst();
            failures.stream().skip(1).filter(e -> e != first).forEach(first::addSuppressed);
            throw first;
        }
    }
}
