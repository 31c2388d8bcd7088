package dev.isobit.harness;

import java.util.Locale;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/**
 * How far a command is, on standard error: a bar on a terminal, elsewhere a line every ten seconds. Thread-safe.
 */
public final class Progress implements AutoCloseable {
    private static final long LINE_NANOS = 10_000_000_000L;

    private final String task;
    private final long max;
    private final @Nullable ProgressBar bar;
    private final long start = System.nanoTime();
    private long lastLine = start;
    private long done;

    /**
     * Starts at 0.
     *
     * @param task what is done
     * @param max how much there is to do
     */
    public Progress(String task, long max) {
        this.task = task;
        this.max = max;
        var console = System.console();
        bar = console == null || !console.isTerminal()
                ? null
                : new ProgressBarBuilder().setTaskName(task).setInitialMax(max).setUpdateIntervalMillis(100)
                        .setStyle(ProgressBarStyle.ASCII).clearDisplayOnFinish().build();
    }

    /**
     * Says that more is done.
     *
     * @param count how much more
     */
    public synchronized void step(long count) {
        done += count;
        if (bar != null) {
            bar.stepTo(done);
            return;
        }
        long now = System.nanoTime();
        if (now - lastLine > LINE_NANOS) {
            lastLine = now;
            double seconds = (now - start) * 1e-9;
            System.err.printf(Locale.ROOT, "%s: %.0f %% after %.0f s, about %.0f s to go%n", task,
                    100.0 * done / Math.max(1, max), seconds, seconds * Math.max(0, max - done) / Math.max(1, done));
        }
    }

    /**
     * Says what is being done.
     *
     * @param what a few words
     */
    public void message(String what) {
        if (bar != null) {
            bar.setExtraMessage(" " + what);
        }
    }

    /** Takes the bar away. Idempotent. */
    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
