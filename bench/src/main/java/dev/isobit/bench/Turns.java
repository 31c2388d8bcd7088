package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * One side of a comparison whose other side is another process, such as {@code bench/peers/torch/turns.py}: an operation of a
 * backend that runs when it is told to. {@code bench/run turns} starts it.
 *
 * <p>Its results are compared with float64, and it runs until nothing is compiled any more. Then it writes the line
 * {@code ready}, and for each line of standard input, how many calls to make, one with the nanoseconds that they took, until
 * the input ends.
 */
@Command(name = "turns", mixinStandardHelpOptions = true, sortOptions = false,
        description = {"Runs an operation by turns with another process.",
            "Writes \"ready\"; then, for each line of input, which is a number of calls, the nanoseconds that they took."})
public final class Turns implements Callable<Integer> {
    private static final String CPU = "cpu";
    private static final List<String> BACKENDS = List.of(CPU, "cuda", "sim");
    private static final String READY = "ready";
    private static final int MOST_CALLS = 1 << 20;

    @Parameters(index = "0", paramLabel = "OPERATION", description = "cross-entropy, bce, adamw, adamw-clipped or sgd.")
    private String operation;

    @Parameters(index = "1", paramLabel = "SHAPE",
            description = "Rows and classes, or tensors and elements of each: 512x1000.")
    private String shape;

    @Option(names = "--backend", paramLabel = "NAME", defaultValue = CPU,
            description = "Whose it is: cpu, cuda, sim (${DEFAULT-VALUE}). On a device the time is of calls queued one after the "
                    + "other and waited for.")
    private String backendName;

    @Option(names = "--threads", paramLabel = "N", defaultValue = "1",
            description = "Threads of the cpu backend (${DEFAULT-VALUE}).")
    private int threads;

    @Option(names = "--warm-up", paramLabel = "SECONDS", defaultValue = "4",
            description = "Warm-up, at least (${DEFAULT-VALUE}).")
    private double warmUp;

    @Spec
    private CommandLine.Model.CommandSpec spec;

    private final InputStream in;
    private final PrintStream out;

    Turns(InputStream in, PrintStream out) {
        this.in = in;
        this.out = out;
    }

    public static void main(String[] args) {
        System.exit(new CommandLine(new Turns(System.in, System.out)).execute(args));
    }

    @Override
    public Integer call() throws IOException {
        BenchCase what = what();
        try (Backend backend = Backend.open(backendName, BackendOptions.defaults().withThreads(threads));
                Workload work = Workload.of(what, Inputs.ORDINARY, true, backend)) {
            work.makeReference();
            CpuTiming.require(work.check(backendName), CpuTiming.LARGEST_ULP);
            new Rounds(1, warmUp, 10)
                    .warmUp(List.of(new Side(backendName, work.bytes(), what.elements(), () -> run(work, 1))));
            answer(work);
        }
        return 0;
    }

    private void answer(Workload work) throws IOException {
        var lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.US_ASCII));
        say(READY);
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            int calls = calls(line.strip());
            // The other side's data has been in the caches since.
            run(work, 1);
            long start = System.nanoTime();
            run(work, calls);
            say(Long.toString(System.nanoTime() - start));
        }
    }

    private static void run(Workload work, int calls) {
        for (int i = 0; i < calls; i++) {
            work.run();
        }
        work.synchronize();
    }

    private void say(String line) {
        out.println(line);
        out.flush();
    }

    private int calls(String line) {
        if (line.matches("[0-9]{1,7}")) {
            int calls = Integer.parseInt(line);
            if (calls >= 1 && calls <= MOST_CALLS) {
                return calls;
            }
        }
        throw refused("input line \"" + line + "\" is no number of calls from 1 to " + MOST_CALLS);
    }

    private BenchCase what() {
        if (!BenchCase.OPERATIONS.contains(operation)) {
            throw refused("OPERATION = " + operation + " is none of " + String.join(", ", BenchCase.OPERATIONS));
        }
        if (!shape.matches("[1-9][0-9]{0,9}x[1-9][0-9]{0,9}")) {
            throw refused("SHAPE = " + shape + " is no shape like 512x1000");
        }
        if (!BACKENDS.contains(backendName)) {
            throw refused("--backend = " + backendName + " is none of " + String.join(", ", BACKENDS));
        }
        if (threads < 1 || !(warmUp > 0)) {
            throw refused("--threads = " + threads + ", --warm-up = " + warmUp + ": both must be above 0");
        }
        List<Long> sizes = new ArrayList<>();
        Arrays.stream(shape.split("x")).map(Long::valueOf).forEach(sizes::add);
        return new BenchCase(operation, DType.F32, List.copyOf(sizes), backendName.equals(CPU) ? threads : 0);
    }

    private ParameterException refused(String why) {
        return new ParameterException(spec.commandLine(), why);
    }
}
