package dev.isobit.sim;

import dev.isobit.ptx.Device;
import dev.isobit.ptx.DeviceFault;
import dev.isobit.ptx.Dim3;
import dev.isobit.ptx.Finding;
import dev.isobit.ptx.Launch;
import dev.isobit.ptx.LaunchReport;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The primary context of a device while somebody holds it, and all that lives in it: memory, modules, streams, events,
 * and what streams were given and have not done yet. Nothing is done before something waits; then the seed decides
 * what else is done on the way, and when. So what a caller forgets to wait for is missing. Guarded by the driver's lock.
 */
final class SimContext {
    private static final System.Logger LOG = System.getLogger("isobit");
    private static final long PINNED_ALIGNMENT = 4096;
    private static final byte FRESH = (byte) 0xa5;
    private static final byte FREED = (byte) 0xdd;

    final SimDevice device;
    final Device memory;
    final Map<Long, SimModule> modules = new LinkedHashMap<>();
    final Map<Long, SimModule.Function> functions = new HashMap<>();
    final Map<Long, SimStream> streams = new LinkedHashMap<>();
    final Map<Long, SimEvent> events = new LinkedHashMap<>();
    final Map<Long, SimGraph> graphs = new LinkedHashMap<>();
    final SimStream legacy = new SimStream(0, true);
    private final SimulatedDriver driver;
    private final long seed;
    private final Random turns;
    private final TreeMap<Long, Long> blocks = new TreeMap<>();
    private final TreeMap<Long, Pinned> pinned = new TreeMap<>();
    /** Streams that still have work, destroyed ones included. */
    private final List<SimStream> busy = new ArrayList<>();
    private long used;
    private long sequence;
    private long launches;
    private @Nullable Result lost;

    /** Page-locked memory of the host. */
    record Pinned(Arena arena, MemorySegment segment) {}

    SimContext(SimulatedDriver driver, SimDevice device, SimOptions options) {
        this.driver = driver;
        this.device = device;
        this.seed = options.seed();
        this.turns = new Random(seed);
        this.memory = Device.of(device.ordinal, options.chips().size(), options.sanitizing());
    }

    /** Why every call into it fails; null where it does not. */
    @Nullable
    Result lost() {
        return lost;
    }

    /** Takes it out of use: what is queued is never done. */
    void lose(Result why) {
        if (lost == null) {
            lost = why;
            busy.forEach(stream -> stream.queue.clear());
            busy.clear();
            streams.values().forEach(stream -> stream.capture = null);
        }
    }

    // ---- memory

    long usedBytes() {
        return used;
    }

    long allocate(long bytes, long room) {
        DriverError.unless(bytes > 0, Result.INVALID_VALUE);
        DriverError.unless(bytes <= room - used, Result.OUT_OF_MEMORY);
        long address;
        try {
            address = memory.allocate(bytes);
        } catch (OutOfMemoryError | IllegalStateException e) {
            throw new DriverError(Result.OUT_OF_MEMORY);
        }
        blocks.put(address, bytes);
        used += bytes;
        return address;
    }

    void free(long address) {
        finishAll();
        requireUsable();
        Long bytes = blocks.remove(address);
        if (bytes == null) {
            driver.violation("cuMemFree of 0x" + Long.toHexString(address) + ", which is no block");
            throw new DriverError(Result.INVALID_VALUE);
        }
        used -= bytes;
        memory.free(address);
    }

    /** The block of device memory that an address lies in; null where there is none. */
    Map.@Nullable Entry<Long, Long> block(long address) {
        Map.Entry<Long, Long> block = blocks.floorEntry(address);
        return block != null && address - block.getKey() < block.getValue() ? block : null;
    }

    /** Checks that a range lies within one block of device memory, or a module's variable. */
    void requireRange(long address, long bytes) {
        if (bytes != 0) {
            try {
                memory.view(address, bytes);
            } catch (IndexOutOfBoundsException e) {
                throw new DriverError(Result.INVALID_VALUE);
            }
        }
    }

    long allocatePinned(long bytes) {
        DriverError.unless(bytes > 0, Result.INVALID_VALUE);
        Arena arena = Arena.ofShared();
        try {
            MemorySegment segment = arena.allocate(bytes, PINNED_ALIGNMENT).fill(FRESH);
            pinned.put(segment.address(), new Pinned(arena, segment));
            return segment.address();
        } catch (OutOfMemoryError | IllegalArgumentException e) {
            arena.close();
            throw new DriverError(Result.OUT_OF_MEMORY);
        }
    }

    void freePinned(long address) {
        finishAll();
        requireUsable();
        Pinned block = pinned.remove(address);
        if (block == null) {
            driver.violation("cuMemFreeHost of 0x" + Long.toHexString(address) + ", which is no block");
            throw new DriverError(Result.INVALID_VALUE);
        }
        release(block);
    }

    private static void release(Pinned block) {
        block.segment.fill(FREED);
        block.arena.close();
    }

    /** The page-locked memory that an address lies in; null where there is none. */
    @Nullable
    Pinned pinned(long address) {
        Map.Entry<Long, Pinned> block = pinned.floorEntry(address);
        return block != null && address - block.getKey() < block.getValue().segment.byteSize()
                ? block.getValue()
                : null;
    }

    boolean isPinned(long address, long bytes) {
        Pinned block = pinned(address);
        return block != null && bytes <= block.segment.address() + block.segment.byteSize() - address;
    }

    // ---- queued work

    /** Gives a stream something to do. */
    Work enqueue(SimStream stream, Runnable action) {
        return enqueue(stream, null, action);
    }

    /** Gives a stream something to do after work of another stream. */
    Work enqueue(SimStream stream, @Nullable Work after, Runnable action) {
        var work = new Work(stream, ++sequence, after, action);
        if (stream.capture != null) {
            stream.capture.work.add(action);
            return work;
        }
        if (stream.queue.isEmpty()) {
            busy.add(stream);
        }
        stream.queue.add(work);
        return work;
    }

    /** Does what has to be done for some work, and it. */
    void finish(@Nullable Work work) {
        while (work != null && !work.isDone() && lost == null) {
            step(work);
        }
        requireUsable();
    }

    /** Does all that a stream was given. */
    void finish(SimStream stream) {
        finish(stream.queue.peekLast());
    }

    /** Does all that any stream was given. */
    void finishAll() {
        while (!busy.isEmpty() && lost == null) {
            step(busy.getFirst().queue.getLast());
        }
    }

    /** As if some time had passed: does one thing, so that who asks again and again gets on. */
    void passTime(@Nullable Work work) {
        if (work != null && !work.isDone()) {
            step(work);
        }
    }

    /** Does one thing: with seed 0 the oldest; else, by lot, one that this work waits for or any that can be done. */
    private void step(Work work) {
        Work next;
        if (seed == 0) {
            next = busy.getFirst().queue.element();
            for (SimStream stream : busy) {
                next = stream.queue.element().sequence < next.sequence ? stream.queue.element() : next;
            }
        } else {
            next = ready(turns.nextBoolean() ? work : busy.get(turns.nextInt(busy.size())).queue.element());
        }
        SimStream stream = next.stream;
        stream.queue.remove();
        if (stream.queue.isEmpty()) {
            busy.remove(stream);
        }
        next.run();
    }

    /** The first that has to be done for some work. Ends: every step goes to older work. */
    private Work ready(Work work) {
        Work at = work;
        while (true) {
            Work head = at.stream.queue.element();
            Work before = before(head);
            if (before == null) {
                return head;
            }
            at = before;
        }
    }

    /** What the head of a queue has to wait for; null for nothing. */
    private @Nullable Work before(Work head) {
        if (head.after != null && !head.after.isDone()) {
            return head.after;
        }
        if (head.stream == legacy) {
            for (SimStream stream : busy) {
                if (stream.blocking && stream.queue.element().sequence < head.sequence) {
                    return stream.queue.element();
                }
            }
        } else if (head.stream.blocking) {
            Work first = legacy.queue.peek();
            return first != null && first.sequence < head.sequence ? first : null;
        }
        return null;
    }

    private void requireUsable() {
        if (lost != null) {
            throw new DriverError(lost);
        }
    }

    // ---- launches

    /** Queues a launch; the arguments are taken now. */
    void launch(SimModule.Function function, SimStream stream, Dim3 grid, Dim3 block, int sharedBytes,
            boolean cooperative, MemorySegment arguments) {
        Dim3 cluster = function.entry.requiredCluster();
        enqueue(stream, () -> {
            long order = seed == 0 ? 0 : seed + ++launches;
            var launch = new Launch(grid, block, cluster == null ? Dim3.of(1) : cluster, sharedBytes, cooperative,
                    order, 0);
            driver.onDeviceThread(() -> run(function, launch, arguments));
        });
    }

    private void run(SimModule.Function function, Launch launch, MemorySegment arguments) {
        try {
            LaunchReport report = memory.launch(function.module.image, function.entry, launch, arguments, null);
            driver.count(function.entry.name(), report);
            for (Finding finding : report.findings()) {
                driver.found(finding);
            }
        } catch (DeviceFault e) {
            LOG.log(System.Logger.Level.WARNING, "sim: device {0}: {1}", device.ordinal, e.getMessage());
            driver.fault(e);
            lose(result(e.kind()));
        } catch (Exception | Error e) {
            LOG.log(System.Logger.Level.ERROR, "sim: the interpreter failed on " + function.entry, e);
            lose(Result.LAUNCH_FAILED);
        }
    }

    private static Result result(DeviceFault.Kind kind) {
        return switch (kind) {
            case OUT_OF_BOUNDS, USE_AFTER_FREE, READ_ONLY -> Result.ILLEGAL_ADDRESS;
            case MISALIGNED -> Result.MISALIGNED_ADDRESS;
            case DEADLOCK, LIMIT -> Result.LAUNCH_TIMEOUT;
            case TRAP, UNDEFINED, INTERRUPTED -> Result.LAUNCH_FAILED;
        };
    }

    // ---- the end

    /** How many of each kind live. */
    Map<String, Integer> live() {
        Map<String, Integer> live = new LinkedHashMap<>();
        live.put("device memory", blocks.size());
        live.put("pinned memory", pinned.size());
        live.put("module", modules.size());
        live.put("stream", streams.size());
        live.put("event", events.size());
        live.put("graph", graphs.size());
        return live;
    }

    /** Ends with all that is in it; what was left behind in good health is told. */
    void destroy() {
        finishAll();
        if (lost == null) {
            live().forEach((kind, count) -> {
                if (count > 0) {
                    driver.violation("leaked: " + kind + ", " + count + " of them, when the context of device "
                            + device.ordinal + " ended");
                }
            });
        }
        pinned.values().forEach(SimContext::release);
        pinned.clear();
        memory.close();
    }
}
