package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.IsobitException;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import dev.isobit.bench.BenchReport.HostCost;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.Transfer;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.cuda.CudaEvent;
import dev.isobit.cuda.CudaGraph;
import dev.isobit.cuda.CudaStream;
import dev.isobit.cuda.LaunchMethod;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A case on a device: time between two events around a graph of repeated calls, replayed (warm: what fits stays in the
 * second-level cache), and around a graph of one call after 512 MB were written (cold), beside a copy within the device and,
 * for AdamW, a stream of the same mix of reads and writes; a clipped step beside a bare one too.
 * A graph, since the host cannot launch as fast as small kernels run. On a simulated device the same is done, and
 * nothing is a timing. Used by one thread.
 */
final class GpuTiming implements AutoCloseable {
    /** Twice this moves in a copy, so that what the host adds to an event (some microseconds) is below a hundredth. */
    private static final long COPY_BYTES = 1L << 30;
    private static final long SIMULATED_COPY_BYTES = 1 << 16;
    private static final long FLUSH_BYTES = 512L << 20;
    /** Of a graph: some thousand launches. */
    private static final int MOST_CALLS = 1000;
    private static final int HOST_CALLS = 200;
    /** An event of the simulator tells no time. */
    private static final double LEAST_SECONDS = 1e-9;
    private static final double LARGEST_ULP = 40;

    private final String backendName;
    private final BenchSettings settings;
    private final boolean simulated;
    private final CudaBackend backend;
    private final CudaStream stream;
    private final CudaEvent begin;
    private final CudaEvent end;
    private final Tensor copyFrom;
    private final Tensor copyTo;
    private final SameMixStream mix;

    GpuTiming(String backendName, BenchSettings settings, boolean simulated) {
        this.backendName = backendName;
        this.settings = settings;
        this.simulated = simulated;
        this.backend = (CudaBackend) Backend.open(backendName);
        this.stream = backend.defaultStream();
        this.begin = backend.newEvent();
        this.end = backend.newEvent();
        Memory[] both = twice(simulated ? SIMULATED_COPY_BYTES : COPY_BYTES);
        this.copyFrom = floats(both[0]);
        this.copyTo = floats(both[1]);
        this.mix = new SameMixStream(backend, both[0], both[1]);
    }

    /** Two pieces of memory, of less where the device has no more. */
    private Memory[] twice(long bytes) {
        Memory first = backend.allocate(bytes);
        try {
            return new Memory[] {first, backend.allocate(bytes)};
        } catch (IsobitException e) {
            first.close();
            return twice(bytes / 2);
        }
    }

    private static Tensor floats(Memory memory) {
        return Tensor.of(DType.F32, memory, 0, memory.byteSize() / Float.BYTES);
    }

    CudaBackend backend() {
        return backend;
    }

    /** The device, and what nvidia-smi tells of its clocks and temperature, if it is there. Changes nothing. */
    String device() {
        String told = "";
        if (!simulated) {
            try {
                Process process = new ProcessBuilder("nvidia-smi",
                        "--query-gpu=name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,temperature.gpu",
                        "--format=csv,noheader").redirectError(ProcessBuilder.Redirect.DISCARD).start();
                told = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
                told = process.waitFor() == 0 ? "; nvidia-smi: " + told.replace('\n', ';') : "";
            } catch (IOException e) {
                told = "; no nvidia-smi";
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        return backend.description() + told;
    }

    /** Warm and cold; one of both where it is no timing. */
    List<Measurement> measure(BenchCase what) {
        try (var work = Workload.of(what, Inputs.ORDINARY, true, backend)) {
            work.makeReference();
            CpuTiming.require(work.check(backendName), LARGEST_ULP);
            String before = work.digest();
            work.reset();
            try (CudaGraph once = stream.captureRepeating(work::run)) {
                if (!work.digest(once::launch).equals(before)) {
                    throw new IllegalStateException(what + ": a replayed graph has other bits than the call");
                }
            }
            var own = new Side(backendName, work.bytes(), what.elements(), work::run);
            List<Side> replayed = new ArrayList<>(List.of(own));
            List<Side> others = new ArrayList<>(List.of(new Side(MemoryStreams.COPY, 2 * copyFrom.byteSize(),
                    copyFrom.elementCount(), () -> backend.copy(copyFrom, copyTo))));
            if (work instanceof AdamWorkload step) {
                others.add(mix.side());
                if (step.isClipped()) {
                    replayed.add(step.bareStep());
                }
            }
            List<Measurement> found = new ArrayList<>();
            found.add(measure(what, replayed, others, true));
            if (!simulated) {
                found.add(measure(what, replayed, others, false));
            }
            if (!work.digest().equals(before)) {
                throw new IllegalStateException(what + ": other bits after the timing than before");
            }
            return found;
        }
    }

    /** Some sides by graphs, of which the first is the backend's own, others once and by themselves. */
    private Measurement measure(BenchCase what, List<Side> replayed, List<Side> others, boolean warm) {
        int rounds = simulated ? 2 : settings.rounds();
        int calls = warm && !simulated ? calls(replayed.getFirst()) : 1;
        List<Side> sides = new ArrayList<>(replayed);
        sides.addAll(others);
        double[][] seconds = new double[sides.size()][rounds];
        List<CudaGraph> graphs = new ArrayList<>();
        try {
            for (Side side : replayed) {
                side.run().run();
                graphs.add(graph(side, calls));
                seconds(graphs.getLast()::launch);
            }
            for (int round = 0; round < rounds; round++) {
                for (int i = 0; i < sides.size(); i++) {
                    boolean graph = i < graphs.size();
                    if (graph && !warm) {
                        flush();
                    }
                    seconds[i][round] = graph
                            ? Math.max(LEAST_SECONDS, seconds(graphs.get(i)::launch) / calls)
                            : seconds(sides.get(i).run());
                }
            }
        } finally {
            graphs.forEach(CudaGraph::close);
        }
        String clock = simulated ? "simulated" : warm ? "events, warm cache" : "events, cold cache";
        return Measurements.of(what, backendName, clock, -1, sides, seconds);
    }

    private void flush() {
        Tensor part = Tensor.of(DType.F32, copyTo.memory(), 0,
                Math.min(copyTo.byteSize(), FLUSH_BYTES) / Float.BYTES);
        backend.copy(Tensor.of(DType.F32, copyFrom.memory(), 0, part.elementCount()), part);
    }

    private CudaGraph graph(Side side, int calls) {
        return stream.captureRepeating(() -> {
            for (int i = 0; i < calls; i++) {
                side.run().run();
            }
        });
    }

    /** How many calls take as long as a round should. */
    private int calls(Side side) {
        int few = 8;
        try (CudaGraph graph = graph(side, few)) {
            seconds(graph::launch);
            double once = Math.max(LEAST_SECONDS, seconds(graph::launch) / few);
            return (int) Math.clamp(Math.ceil(settings.batchMillis() * 1e-3 / once), 1, MOST_CALLS);
        }
    }

    private double seconds(Runnable queued) {
        begin.record(stream);
        queued.run();
        end.record(stream);
        stream.synchronize();
        return Math.max(LEAST_SECONDS, end.millisecondsSince(begin) * 1e-3);
    }

    /**
     * What calls cost the host that only queue work: launches through JCuda and through java.lang.foreign, the replay of
     * a graph of the call, and a launch as JCuda's samples write it.
     */
    static List<HostCost> hostCosts(String backendName, BenchSettings settings, List<String> operations,
            boolean simulated) {
        List<HostCost> found = new ArrayList<>();
        String chosen = System.getProperty(LaunchMethod.PROPERTY);
        for (LaunchMethod method : LaunchMethod.values()) {
            System.setProperty(LaunchMethod.PROPERTY, method.name().toLowerCase(Locale.ROOT));
            boolean foreign = method == LaunchMethod.FFM;
            try (var device = (CudaBackend) Backend.open(backendName)) {
                CudaStream stream = device.defaultStream();
                for (String operation : operations) {
                    try (var work = Workload.of(AccuracySuite.problem(operation, DType.F32, 0), Inputs.ORDINARY, true,
                            device)) {
                        work.run();
                        found.add(
                                new HostCost(operation, foreign ? "java.lang.foreign, one struct" : "JCuda, one struct",
                                        hostCost(work::run, stream, settings, simulated)));
                        if (!foreign) {
                            try (CudaGraph graph = stream.captureRepeating(work::run)) {
                                found.add(new HostCost(operation, "a graph, replayed by JCuda",
                                        hostCost(graph::launch, stream, settings, simulated)));
                            }
                        }
                    }
                }
                if (!foreign) {
                    try (var idiom = new JCudaIdiom(stream, 10, 10)) {
                        found.add(
                                new HostCost("an empty kernel of 16 parameters", "JCuda, a Pointer for each parameter",
                                        hostCost(idiom::launch, stream, settings, simulated)));
                    }
                }
            }
        }
        if (chosen == null) {
            System.clearProperty(LaunchMethod.PROPERTY);
        } else {
            System.setProperty(LaunchMethod.PROPERTY, chosen);
        }
        return found;
    }

    private static Bootstrap.Interval hostCost(Runnable queues, CudaStream stream, BenchSettings settings,
            boolean simulated) {
        int rounds = simulated ? 2 : settings.rounds();
        int calls = simulated ? 1 : HOST_CALLS;
        double[] micros = new double[rounds];
        for (int round = -rounds; round < rounds; round++) {
            long start = System.nanoTime();
            for (int i = 0; i < calls; i++) {
                queues.run();
            }
            long stop = System.nanoTime();
            stream.synchronize();
            if (round >= 0) {
                micros[round] = (stop - start) * 1e-3 / calls;
            }
        }
        return Bootstrap.median(micros);
    }

    /** Copies of 64 MB between host and device. */
    List<Transfer> transfers() {
        long bytes = simulated ? SIMULATED_COPY_BYTES : 64L << 20;
        Tensor device = Tensor.of(DType.F32, copyTo.memory(), 0, Math.min(bytes, copyTo.byteSize()) / Float.BYTES);
        List<Transfer> found = new ArrayList<>();
        try (Arena arena = Arena.ofShared(); var pinned = backend.allocatePinned(device.byteSize())) {
            var pageable = HostMemory.of(arena.allocate(device.byteSize(), 64).fill((byte) 1));
            for (boolean isPinned : new boolean[] {true, false}) {
                Tensor host = Tensor.of(DType.F32, isPinned ? HostMemory.of(pinned.segment()) : pageable, 0,
                        device.elementCount());
                String memory = isPinned ? "pinned" : "pageable";
                found.add(transfer("host to device", memory, host, device));
                found.add(transfer("device to host", memory, device, host));
            }
        }
        return found;
    }

    private Transfer transfer(String direction, String memory, Tensor from, Tensor to) {
        int rounds = simulated ? 2 : settings.rounds();
        double[] gigaBytes = new double[rounds];
        backend.copy(from, to);
        for (int round = 0; round < rounds; round++) {
            long start = System.nanoTime();
            backend.copy(from, to);
            gigaBytes[round] = from.byteSize() / (double) (System.nanoTime() - start);
        }
        return new Transfer(direction, memory, from.byteSize(), Bootstrap.median(gigaBytes));
    }

    @Override
    public void close() {
        mix.close();
        backend.close();
    }
}
