package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Any case of {@code isobit bench} under JMH, on the cpu backend or by the C baseline: every operation, type of logits and size, as
 * {@code -p what="cross-entropy 163x50257 BF16"}. Results are compared with float64 before, and with themselves after.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = {"-Xmx2g"})
public class OperationBenchmark {
    /** Operation, shape and type, as {@link BenchCase} writes them. */
    @Param({"cross-entropy 512x1000 F32", "cross-entropy 512x1000 BF16", "cross-entropy 512x1000 F16",
        "cross-entropy 512x32000 F32", "cross-entropy 512x32000 BF16", "cross-entropy 512x32000 F16",
        "cross-entropy 65536x10 F32", "bce 16384x64 F32", "bce 16384x64 BF16", "bce 16384x64 F16",
        "adamw 1x1048576 F32", "adamw 10000x64 F32", "adamw 1x1048576 BF16", "sgd 1x1048576 F32"})
    public String what;

    /** The cpu backend, or the C baseline. */
    @Param({"cpu", "c"})
    public String side;

    @Param({"1", "2"})
    public int threads;

    private Backend backend;
    private Workload work;
    private String digest;
    private @Nullable BaselinePeer baseline;
    private Peer.@Nullable Call call;

    @Setup(Level.Trial)
    public void prepare() {
        BenchCase wanted = parse(what, threads);
        backend = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
        work = Workload.of(wanted, Inputs.ORDINARY, true, backend);
        work.makeReference();
        CpuTiming.require(work.check("cpu"), CpuTiming.LARGEST_ULP);
        digest = work.digest();
        if (side.equals("c")) {
            baseline = BaselinePeer.open();
            call = work.prepare(baseline, why -> {
                throw new IllegalStateException(why);
            });
            CpuTiming.requireRight(work.check(baseline, call));
        }
        System.out.println(baseline == null ? backend.description() : baseline.description());
    }

    static BenchCase parse(String what, int threads) {
        String[] words = what.split(" ");
        if (words.length != 3 || !BenchCase.OPERATIONS.contains(words[0]) || !words[1].matches("\\d+x\\d+")
                || BenchCase.dtypes(words[0]).stream().noneMatch(dtype -> dtype.name().equals(words[2]))) {
            throw new IllegalArgumentException("what = " + what + " is no operation of "
                    + String.join(", ", BenchCase.OPERATIONS) + " with a shape and a type that it has");
        }
        return BenchCase.of(words[0], DType.valueOf(words[2]), threads,
                Arrays.stream(words[1].split("x")).mapToLong(Long::parseLong).toArray());
    }

    @TearDown(Level.Trial)
    public void check() {
        if (!work.digest().equals(digest)) {
            throw new IllegalStateException(what + ": other bits after the timing than before");
        }
        if (call != null) {
            call.close();
        }
        work.close();
        backend.close();
    }

    @Benchmark
    public void run(Traffic traffic) {
        if (call != null) {
            call.run();
        } else {
            work.run();
        }
        traffic.add(work.what.elements(), work.bytes());
    }
}
