package dev.isobit.bench;

import dev.isobit.Backend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/** A peer that is the cpu backend with an error added to the first loss, or to the first parameter. */
final class Planted implements Peer {
    private final String operation;
    private final float error;

    Planted(String operation, float error) {
        this.operation = operation;
        this.error = error;
    }

    @Override
    public String name() {
        return "planted";
    }

    @Override
    public String description() {
        return "a test";
    }

    @Override
    public Call prepare(Problem problem) {
        Backend cpu = Backend.open("cpu");
        Workload work = Workload.of(new BenchCase(operation, dev.isobit.DType.F32, problem.shape(), problem.threads()),
                Inputs.ORDINARY, problem.mean(), cpu);
        return new Call() {
            @Override
            public void run() {
                work.run();
            }

            @Override
            public boolean read(String output, MemorySegment to) {
                to.copyFrom(work.host(output));
                if (List.of("loss", "param").contains(output)) {
                    to.set(ValueLayout.JAVA_FLOAT, 0, to.get(ValueLayout.JAVA_FLOAT, 0) + error);
                }
                return true;
            }

            @Override
            public void close() {
                work.close();
                cpu.close();
            }
        };
    }

    @Override
    public void close() {
        // holds nothing
    }

    /** A call whose gradient is what it was given. */
    static final class Copied implements Call {
        private final Arena arena = Arena.ofConfined();
        private final Map<String, MemorySegment> kept;

        Copied(MemorySegment grad) {
            kept = Map.of("gradLogits", arena.allocate(grad.byteSize(), 4).copyFrom(grad));
        }

        @Override
        public void run() {
            // it is done
        }

        @Override
        public boolean read(String output, MemorySegment to) {
            if (kept.containsKey(output)) {
                to.copyFrom(kept.get(output));
            }
            return kept.containsKey(output);
        }

        @Override
        public void close() {
            arena.close();
        }
    }
}
