package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LrSchedule;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.AccumulateChunk;
import dev.isobit.cuda.KernelParams.GridBarrier;
import dev.isobit.cuda.KernelParams.Guard;
import dev.isobit.cuda.KernelParams.GuardControl;
import dev.isobit.cuda.KernelParams.GuardPiece;
import dev.isobit.cuda.KernelParams.GuardRun;
import dev.isobit.cuda.KernelParams.GuardSet;
import dev.isobit.cuda.KernelParams.GuardState;
import dev.isobit.cuda.KernelParams.Schedule;
import dev.isobit.spi.GuardedKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.function.LongToIntFunction;
import jcuda.driver.CUresult;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer's guarded step: the squares of the gradients, what they decide, the update, in one cooperative launch, or, with
 * the same bits, in three where the device has none. Tables, counts and the loss scale lie on the device; a launch more where
 * a learning rate changed or a group was enabled or disabled. Closing waits for the stream.
 */
final class GuardedStep implements GuardedKernel, StreamOperation {
    /** Of each of the arrays in the memory. */
    private static final long ALIGNMENT = 256;

    /**
     * What an optimizer brings.
     *
     * @param name its name in messages
     * @param params the argument block
     * @param settings what does not change of the groups, as the kernel finds it
     * @param schedules of their learning rates
     * @param groupBytes of the scalars of a group
     * @param whole does all of a step
     * @param begin decides about a step
     * @param step does it
     * @param grid the blocks for a number of chunks
     */
    record Optimizer(String name, StructLayout params, MemorySegment settings,
            List<LrSchedule> schedules, long groupBytes,
            Entry whole, Entry begin, Entry step, LongToIntFunction grid) {}

    /**
     * A kernel, loaded when it is needed.
     *
     * @param module its module
     * @param name its name
     */
    record Entry(String module, String name) {
        CudaFunction load(CudaBackend backend, String user) {
            return backend.module(user, module).function(user, name);
        }
    }

    /** The kernels of a step in three launches. */
    private record Parts(CudaFunction square, CudaFunction begin, CudaFunction step) {}

    private final Optimizer optimizer;
    /** The operation, for messages. */
    private final String operation;
    private final CudaBackend backend;
    private final CudaDriver driver;
    private final CudaStream stream;
    private final CudaFunction set;
    private final Entry square;
    /** Null where a step is three launches. */
    private @Nullable CudaFunction whole;
    private @Nullable Parts parts;
    /** Null where gradients are not added to accumulators. */
    private final @Nullable CudaFunction sum;
    private final MemorySegment setParams;
    private final Launcher setLauncher;
    private final MemorySegment params;
    private final Launcher launcher;
    private final CudaMemory memory;
    private final Tensor gradScale;
    private final long state;
    private final long steps;
    private final long controls;
    private final int wholeGrid;
    private final int squareGrid;
    private final int stepGrid;
    private final int sumGrid;
    private final double[] lrs;
    private final boolean[] enabled;
    /** The groups of which the device does not know yet what the host has set. */
    private final BitSet changed = new BitSet();
    private float gradDivisor;
    private boolean closed;

    /**
     * Builds the tables.
     *
     * @param tensors of all groups
     */
    GuardedStep(CudaBackend backend, CudaStream stream, StepOptions options, ChunkTable tensors, Optimizer optimizer) {
        List<List<ChunkTable.Parameter>> groups = tensors.groups();
        this.optimizer = optimizer;
        this.operation = optimizer.name + ".step";
        this.backend = backend;
        this.driver = backend.driver();
        this.stream = stream;
        this.gradDivisor = options.gradDivisor();
        String making = optimizer.name + ".on";
        set = new Entry("guard", "guard_set").load(backend, making);
        square = new Entry("guard", "guard_square_" + tensors.dtype());
        lrs = new double[groups.size()];
        enabled = new boolean[groups.size()];

        long elements = 0;
        long chunks = tensors.chunks();
        long pieces = 0;
        for (List<ChunkTable.Parameter> group : groups) {
            for (ChunkTable.Parameter parameter : group) {
                long count = parameter.param().elementCount();
                pieces += count == 0 ? 0 : (elements + count - 1) / Guard.PIECE - elements / Guard.PIECE + 1;
                elements += count;
            }
        }
        boolean checks = options.checksGrad();
        long segments = checks ? LaunchTable.ceil(elements, Guard.SEGMENT) : 0;
        pieces = checks ? pieces : 0;
        stepGrid = chunks == 0 ? 0 : optimizer.grid.applyAsInt(chunks);
        squareGrid = segments == 0 ? 0 : backend.launchTable().guardGrid(segments);
        whole = backend.launchesCooperatively(making) ? optimizer.whole.load(backend, making) : null;
        int resident = whole == null ? 0 : driver.residentBlocks(making, whole, LaunchTable.OPTIMIZER_THREADS);
        wholeGrid = resident == 0 ? 0 : backend.launchTable().guardedGrid(chunks, segments, resident);
        if (resident == 0) {
            divide(making);
        }

        ArgumentBlock arguments = new ArgumentBlock(optimizer.params);
        Sections at = new Sections();
        state = at.next(GuardState.LAYOUT.byteSize());
        steps = at.next((long) groups.size() * Long.BYTES);
        controls = at.next(groups.size() * GuardControl.LAYOUT.byteSize());
        long settings = at.next(optimizer.settings.byteSize());
        long schedules = at.next(groups.size() * Schedule.LAYOUT.byteSize());
        long firstPieces = at.next((segments + 1) * Long.BYTES);
        long pieceTable = at.next(pieces * GuardPiece.LAYOUT.byteSize());
        long chunkTable = at.next(chunks * tensors.chunkBytes());
        long scalars = at.next(groups.size() * optimizer.groupBytes);
        boolean accumulates = options.accumulateGrad();
        sumGrid = accumulates && chunks > 0 ? backend.launchTable().sgdGrid(chunks) : 0;
        long sumTable = at.next(accumulates ? chunks * AccumulateChunk.LAYOUT.byteSize() : 0);
        long barrier = at.next(GridBarrier.LAYOUT.byteSize());
        long filled = at.end;
        long squares = at.next(segments * Float.BYTES);
        memory = new CudaMemory(driver, backend.handles(), driver.allocate(making, at.end), at.end);
        boolean made = false;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(filled, ALIGNMENT);
            GradScaling scaling = options.gradScaling();
            host.set(ValueLayout.JAVA_DOUBLE, state + GuardState.GRAD_NORM, Double.NaN);
            host.set(ValueLayout.JAVA_FLOAT, state + GuardState.GRAD_SCALE,
                    scaling == null ? 1 : scaling.initialScale());
            MemorySegment.copy(optimizer.settings, 0, host, settings, optimizer.settings.byteSize());
            fillSchedules(host.asSlice(schedules), optimizer.schedules);
            tensors.fill(host.asSlice(chunkTable));
            if (accumulates) {
                tensors.fillSums(host.asSlice(sumTable));
            }
            if (checks) {
                fillPieces(host.asSlice(pieceTable), host.asSlice(firstPieces), groups);
            }
            backend.copies().toDevice(making, host, memory.address());
            made = true;
        } finally {
            if (!made) {
                memory.close();
            }
        }
        long base = memory.address();
        gradScale = Tensor.of(DType.F32, memory, state + GuardState.GRAD_SCALE);
        params = arguments.struct();
        MemorySegment to = params;
        to.set(ValueLayout.JAVA_LONG, Guard.PIECES, base + pieceTable);
        to.set(ValueLayout.JAVA_LONG, Guard.FIRST_PIECES, base + firstPieces);
        to.set(ValueLayout.JAVA_LONG, Guard.CONTROLS, base + controls);
        to.set(ValueLayout.JAVA_LONG, Guard.PARTS, base + squares);
        to.set(ValueLayout.JAVA_LONG, Guard.STATE, base + state);
        to.set(ValueLayout.JAVA_LONG, Guard.STEPS, base + steps);
        to.set(ValueLayout.JAVA_LONG, Guard.SCHEDULES, base + schedules);
        to.set(ValueLayout.JAVA_LONG, Guard.BARRIER, base + barrier);
        to.set(ValueLayout.JAVA_LONG, Guard.SUMS, accumulates ? base + sumTable : 0);
        to.set(ValueLayout.JAVA_LONG, Guard.SUM_COUNT, accumulates ? chunks : 0);
        to.set(ValueLayout.JAVA_LONG, Guard.SEGMENTS, segments);
        to.set(ValueLayout.JAVA_LONG, Guard.GROUP_COUNT, (long) groups.size());
        setOptions(to, options);
        to.set(ValueLayout.JAVA_LONG, offset("chunks"), base + chunkTable);
        to.set(ValueLayout.JAVA_LONG, offset("chunk_count"), chunks);
        to.set(ValueLayout.JAVA_LONG, offset("settings"), base + settings);
        to.set(ValueLayout.JAVA_LONG, offset("groups"), base + scalars);
        launcher = backend.launcher(stream, arguments);
        ArgumentBlock setting = new ArgumentBlock(GuardSet.LAYOUT);
        setParams = setting.struct();
        setLauncher = backend.launcher(stream, setting);
        setParams.set(ValueLayout.JAVA_LONG, GuardSet.CONTROLS, base + controls);
        sum = accumulates ? new Entry("accumulate", "accumulate_grad").load(backend, making) : null;
    }

    /** Places arrays behind each other. */
    private static final class Sections {
        private long end;

        long next(long bytes) {
            long start = end;
            end = LaunchTable.ceil(start + bytes, ALIGNMENT) * ALIGNMENT;
            return start;
        }
    }

    private long offset(String field) {
        return optimizer.params.byteOffset(PathElement.groupElement(field));
    }

    private static void setOptions(MemorySegment to, StepOptions options) {
        GradScaling scaling = options.gradScaling();
        to.set(ValueLayout.JAVA_LONG, Guard.GROWTH_INTERVAL, scaling == null ? 0 : scaling.growthInterval());
        to.set(ValueLayout.JAVA_DOUBLE, Guard.MAX_NORM, options.maxNorm());
        to.set(ValueLayout.JAVA_FLOAT, Guard.CLIP_VALUE, (float) options.clipValue());
        to.set(ValueLayout.JAVA_FLOAT, Guard.GROWTH_FACTOR, scaling == null ? 0 : scaling.growthFactor());
        to.set(ValueLayout.JAVA_FLOAT, Guard.BACKOFF_FACTOR, scaling == null ? 0 : scaling.backoffFactor());
        to.set(ValueLayout.JAVA_INT, Guard.FLAGS, (options.checksGrad() ? Guard.CHECK : 0)
                | (scaling == null ? 0 : Guard.SCALING) | (options.zeroesStepGrad() ? Guard.ZERO_GRAD : 0)
                | (options.accumulateGrad() && options.zeroGrad() ? Guard.ZERO_ADDED : 0));
    }

    private static void fillSchedules(MemorySegment table, List<LrSchedule> schedules) {
        for (int g = 0; g < schedules.size(); g++) {
            LrSchedule schedule = schedules.get(g);
            long at = g * Schedule.LAYOUT.byteSize();
            table.set(ValueLayout.JAVA_LONG, at + Schedule.WARMUP_STEPS, schedule.warmupSteps());
            table.set(ValueLayout.JAVA_LONG, at + Schedule.DECAY_STEPS, schedule.decaySteps());
            table.set(ValueLayout.JAVA_DOUBLE, at + Schedule.WARMUP_START, schedule.warmupStart());
            table.set(ValueLayout.JAVA_DOUBLE, at + Schedule.DECAY, schedule.decay());
            table.set(ValueLayout.JAVA_INT, at + Schedule.SHAPE, switch (schedule.shape()) {
                case CONSTANT -> Schedule.CONSTANT;
                case LINEAR -> Schedule.LINEAR;
                case COSINE -> Schedule.COSINE;
                case STEP -> Schedule.STEP;
            });
        }
    }

    /** All elements are one row, in which gradients are cut at multiples of a piece, and segments begin. */
    private static void fillPieces(MemorySegment table, MemorySegment firstPieces,
            List<List<ChunkTable.Parameter>> groups) {
        long element = 0;
        long piece = 0;
        long segment = 0;
        for (int g = 0; g < groups.size(); g++) {
            for (ChunkTable.Parameter parameter : groups.get(g)) {
                Tensor grad = parameter.grad();
                for (long first = 0; first < grad.elementCount(); piece++) {
                    if (element % Guard.SEGMENT == 0) {
                        firstPieces.setAtIndex(ValueLayout.JAVA_LONG, segment++, piece);
                    }
                    long count = Math.min(Guard.PIECE - element % Guard.PIECE, grad.elementCount() - first);
                    long at = piece * GuardPiece.LAYOUT.byteSize();
                    table.set(ValueLayout.JAVA_LONG, at + GuardPiece.GRAD,
                            grad.address() + first * grad.dtype().byteSize());
                    table.set(ValueLayout.JAVA_INT, at + GuardPiece.POSITION, (int) (element % Guard.SEGMENT));
                    table.set(ValueLayout.JAVA_INT, at + GuardPiece.COUNT, (int) count);
                    table.set(ValueLayout.JAVA_INT, at + GuardPiece.GROUP, g);
                    table.set(ValueLayout.JAVA_INT, at + GuardPiece.DTYPE, ChunkTable.code(grad.dtype()));
                    first += count;
                    element += count;
                }
            }
        }
        firstPieces.setAtIndex(ValueLayout.JAVA_LONG, segment, piece);
    }

    @Override
    public void set(int group, double lr, boolean isEnabled) {
        lrs[group] = lr;
        enabled[group] = isEnabled;
        changed.set(group);
    }

    @Override
    public void setGradDivisor(float divisor) {
        gradDivisor = divisor;
        changed.set(0);
    }

    private void check(String call) {
        stream.admit(call, this);
    }

    @Override
    public void queueChanges() {
        check(optimizer.name + ".queueChanges");
        launchChanges();
    }

    /** Neighbours that are the same now are one run, changed or not: all groups as a rule, and one launch. */
    private void launchChanges() {
        int runs = 0;
        int end;
        for (int first = changed.nextSetBit(0); first >= 0; first = changed.nextSetBit(end)) {
            end = first + 1;
            while (end < lrs.length && Double.compare(lrs[end], lrs[first]) == 0 && enabled[end] == enabled[first]) {
                end++;
            }
            setRun(runs++, first, end);
            if (runs == GuardSet.RUNS_OF_A_LAUNCH) {
                launchRuns(runs);
                runs = 0;
            }
        }
        if (runs > 0) {
            launchRuns(runs);
        }
        changed.clear();
    }

    private void setRun(int run, int first, int end) {
        long at = GuardSet.RUNS + run * GuardRun.LAYOUT.byteSize();
        setParams.set(ValueLayout.JAVA_LONG, at + GuardRun.FIRST, (long) first);
        setParams.set(ValueLayout.JAVA_LONG, at + GuardRun.COUNT, (long) end - first);
        long control = at + GuardRun.CONTROL;
        setParams.set(ValueLayout.JAVA_DOUBLE, control + GuardControl.LR, lrs[first]);
        setParams.set(ValueLayout.JAVA_INT, control + GuardControl.DISABLED, enabled[first] ? 0 : 1);
        setParams.set(ValueLayout.JAVA_FLOAT, control + GuardControl.GRAD_DIVISOR, gradDivisor);
    }

    private void launchRuns(int count) {
        setParams.set(ValueLayout.JAVA_LONG, GuardSet.COUNT, (long) count);
        launch(operation, setLauncher, set, 1, LaunchTable.GUARD_THREADS);
    }

    @Override
    public void accumulate() {
        String call = optimizer.name + ".accumulate";
        check(call);
        launchChanges();
        add(call);
    }

    private void add(String call) {
        if (sumGrid > 0) {
            launch(call, launcher, Objects.requireNonNull(sum), sumGrid, LaunchTable.OPTIMIZER_THREADS);
        }
    }

    @Override
    public void step() {
        step(operation, false);
    }

    @Override
    public void accumulateAndStep() {
        step(optimizer.name + ".accumulateAndStep", true);
    }

    private void step(String call, boolean accumulates) {
        check(call);
        launchChanges();
        CudaFunction one = whole;
        if (one != null) {
            int flags = params.get(ValueLayout.JAVA_INT, Guard.FLAGS);
            params.set(ValueLayout.JAVA_INT, Guard.FLAGS, accumulates ? flags | Guard.ACCUMULATE : flags);
            int result = launcher.launchCooperative(one, wholeGrid, LaunchTable.OPTIMIZER_THREADS);
            params.set(ValueLayout.JAVA_INT, Guard.FLAGS, flags);
            if (result != CUresult.CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
                    && result != CUresult.CUDA_ERROR_NOT_SUPPORTED) {
                driver.checkCooperativeLaunch(call, one, wholeGrid, LaunchTable.OPTIMIZER_THREADS, result);
                return;
            }
            // Nothing was queued: this stream has less of the device than there is.
            divide(call);
        }
        if (accumulates) {
            add(call);
        }
        stepInParts(call, Objects.requireNonNull(parts));
    }

    /** From now on a step is three launches. */
    private void divide(String user) {
        parts = new Parts(square.load(backend, user), optimizer.begin.load(backend, user),
                optimizer.step.load(backend, user));
        whole = null;
    }

    private void stepInParts(String call, Parts kernels) {
        if (squareGrid > 0) {
            launch(call, launcher, kernels.square, squareGrid, LaunchTable.GUARD_THREADS);
        }
        launch(call, launcher, kernels.begin, 1, LaunchTable.GUARD_THREADS);
        if (stepGrid > 0) {
            launch(call, launcher, kernels.step, stepGrid, LaunchTable.OPTIMIZER_THREADS);
        }
    }

    private void launch(String call, Launcher by, CudaFunction function, int grid, int threads) {
        driver.checkLaunch(call, function, grid, threads, 0, by.launch(function, grid, threads, 0));
    }

    /** Waits for the stream, then reads part of the memory. */
    private void read(String call, long from, MemorySegment to) {
        check(call);
        stream.synchronize(call);
        backend.copies().toHost(call, memory.address() + from, to);
    }

    /** Writes a part of the memory that has just been read: the stream has come to rest. */
    private void write(String call, MemorySegment from, long to) {
        backend.copies().toDevice(call, from, memory.address() + to);
    }

    @Override
    public StepState state() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment found = arena.allocate(GuardState.LAYOUT);
            read(optimizer.name + ".stepState", state, found);
            return new StepState(found.get(ValueLayout.JAVA_FLOAT, GuardState.GRAD_SCALE),
                    found.get(ValueLayout.JAVA_LONG, GuardState.GROWTH_TRACKER),
                    found.get(ValueLayout.JAVA_LONG, GuardState.SKIPPED_STEPS),
                    found.get(ValueLayout.JAVA_DOUBLE, GuardState.GRAD_NORM),
                    found.get(ValueLayout.JAVA_INT, GuardState.FOUND_INF) != 0);
        }
    }

    @Override
    public void setState(StepState wanted) {
        String call = optimizer.name + ".setStepState";
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment written = arena.allocate(GuardState.LAYOUT);
            read(call, state, written);
            written.set(ValueLayout.JAVA_FLOAT, GuardState.GRAD_SCALE, wanted.gradScale());
            written.set(ValueLayout.JAVA_LONG, GuardState.GROWTH_TRACKER, wanted.growthTracker());
            written.set(ValueLayout.JAVA_LONG, GuardState.SKIPPED_STEPS, wanted.skippedSteps());
            write(call, written, state);
        }
    }

    @Override
    public long stepCount(int group) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(ValueLayout.JAVA_LONG);
            read(optimizer.name + ".stepCount", steps + (long) group * Long.BYTES, count);
            return count.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    @Override
    public void setStepCount(int group, long stepCount) {
        String call = optimizer.name + ".setStepCount";
        check(call);
        stream.synchronize(call);
        try (Arena arena = Arena.ofConfined()) {
            write(call, arena.allocateFrom(ValueLayout.JAVA_LONG, stepCount), steps + (long) group * Long.BYTES);
        }
    }

    @Override
    public Tensor gradScale() {
        return gradScale;
    }

    @Override
    public boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        List<RuntimeException> failures = new ArrayList<>();
        stream.rest(optimizer.name + ".close", failures);
        HandleRegistry.attempt(failures, memory::close);
        HandleRegistry.raise(failures);
    }
}
