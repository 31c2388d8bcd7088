package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.util.List;
import java.util.Set;
import jcuda.driver.CUgraphExec;

/**
 * Operations that were captured from a stream, replayed by one call of the driver: what a step of training queues costs
 * the host one launch. {@link CudaStream#capture} makes it.
 *
 * <p>A replay does what the captured calls did, with the same operands at the same places and the same scalars of the
 * host; what lies in memory may change from replay to replay, and so do step count, learning rate and loss scale of an
 * optimizer with {@link dev.isobit.StepOptions}, which lie on the device.
 *
 * <p>Errors: {@link IllegalStateException} where the graph, its stream, its backend or one of its operations is closed.
 * Targets out of range are raised by the next call that synchronises the stream, as those of a direct call.
 *
 * <p>Threading: one thread at a time, that of the stream. Ownership: whoever made it closes it, the backend what is left.
 * It does not own its operands: memory that was closed since must not be used by a replay.
 */
public final class CudaGraph implements AutoCloseable {
    private static final String LAUNCH = "CudaGraph.launch";

    private final CudaStream stream;
    private final CudaDriver driver;
    private final CUgraphExec executable;
    private final OwnedHandle owned;
    private final List<StreamOperation> operations;
    private final List<StatusBoard.Use> statuses;

    CudaGraph(CudaStream stream, CUgraphExec executable, Set<StreamOperation> operations,
            List<StatusBoard.Use> statuses) {
        this.stream = stream;
        this.driver = stream.driver();
        this.executable = executable;
        this.operations = List.copyOf(operations);
        this.statuses = List.copyOf(statuses);
        CudaDriver releasing = driver;
        this.owned = stream.backend().handles().own(this, "CudaGraph",
                () -> releasing.destroyExecutable("CudaGraph.close", executable));
    }

    /** Queues all that was captured, on the stream that it was captured from. */
    public void launch() {
        stream.checkOpen(LAUNCH);
        if (!owned.isAlive()) {
            throw new IllegalStateException(LAUNCH + ": the graph is closed");
        }
        for (int i = 0; i < operations.size(); i++) {
            if (operations.get(i).isClosed()) {
                throw new IllegalStateException(LAUNCH + ": an operation that was captured is closed");
            }
        }
        for (int i = 0; i < statuses.size(); i++) {
            statuses.get(i).again();
        }
        driver.launchGraph(LAUNCH, executable, stream.handleObject());
    }

    /** Releases the graph; replays that were queued are done all the same. Idempotent. */
    @Override
    public void close() {
        owned.release();
    }
}
