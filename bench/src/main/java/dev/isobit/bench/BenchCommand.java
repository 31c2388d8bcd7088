package dev.isobit.bench;

import dev.isobit.BackendProbe;
import dev.isobit.DType;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.Runner;
import dev.isobit.bench.BenchReport.SideResult;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.Machine;
import dev.isobit.harness.OwnJvm;
import dev.isobit.harness.Progress;
import dev.isobit.harness.Subcommand;
import dev.isobit.harness.Workspace;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code isobit bench}: measures what this machine has, and writes it down as it comes. */
@Command(name = "bench", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Measures speed and accuracy of every backend here, beside memory and hand-written C.",
        description = {
            "Times each operation beside a copy, a stream in place and hand-written C in the same rounds, in JVMs "
                    + "of their own; results are compared with float64 before and with themselves after. Errors are measured on "
                    + "ordinary and on hard inputs.",
            "Writes a JSON file after each case: what was measured is there if the run is interrupted."},
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:measured", "2:wrong options", "3:it could not run, or a result was wrong"})
public final class BenchCommand implements Subcommand {
    private static final DateTimeFormatter STAMP =
            DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss", Locale.ROOT).withZone(ZoneOffset.UTC);

    @Option(names = "--quick", description = "fewer sizes and rounds: some minutes on two cores")
    private boolean quick;

    @Option(names = "--ops", paramLabel = "NAME", split = ",",
            description = "only these operations: cross-entropy, bce, adamw, adamw-clipped, sgd")
    private List<String> operations = new ArrayList<>();

    @Option(names = "--dtypes", paramLabel = "DTYPE", split = ",",
            description = "only logits and parameters of these types: F32, BF16, F16 (default: all; of a quick run F32); sgd is F32")
    private List<DType> dtypes = new ArrayList<>();

    @Option(names = "--only", paramLabel = "REGEX",
            description = "only cases in whose name it is found, such as \"512x1000 F32, 1 thread\", or \"beside libtorch\"; errors are not measured")
    private @Nullable Pattern only;

    @Option(names = "--backend", paramLabel = "NAME", split = ",",
            description = "only these backends: cpu, cuda, or sim, on which nothing is a timing (default: cpu, and cuda where "
                    + "there is a device)")
    private List<String> backends = new ArrayList<>();

    @Option(names = "--peers", paramLabel = "NAME", split = ",", arity = "0..1", fallbackValue = PeersBuild.ALL,
            description = "beside other libraries of the JVM as well, each in JVMs of its own: " + PeersBuild.ALL
                    + " (all, if none is named); builds bench/peers first, in a checkout")
    private List<String> peers = new ArrayList<>();

    @Option(names = "--out", paramLabel = "DIR", defaultValue = BenchFiles.FOLDER,
            description = "where the run gets a folder (default: ${DEFAULT-VALUE})")
    private Path out = Path.of(BenchFiles.FOLDER);

    @Spec
    private CommandSpec spec;

    private final long startNanos = System.nanoTime();
    private final List<Runner> runners = new ArrayList<>();
    private final Set<String> absent = new LinkedHashSet<>();
    private final Map<String, Measurement> measurements = new LinkedHashMap<>();
    private final List<BenchReport.Accuracy> accuracy = new ArrayList<>();
    private final List<BenchReport.HostCost> hostCosts = new ArrayList<>();
    private final List<BenchReport.Transfer> transfers = new ArrayList<>();
    private @Nullable String device;

    /** Called by the service loader. */
    public BenchCommand() {}

    private record Job(BenchPlan plan, List<String> flags, Map<String, String> environment) {
        Job(BenchPlan plan, List<String> flags) {
            this(plan, flags, Map.of());
        }
    }

    @Override
    public Integer call() {
        List<String> ops = operations.isEmpty() ? BenchCase.OPERATIONS : operations;
        for (String operation : ops) {
            if (!BenchCase.OPERATIONS.contains(operation)) {
                throw new ParameterException(spec.commandLine(), "--ops = " + operation + " is none of "
                        + String.join(", ", BenchCase.OPERATIONS));
            }
        }
        for (String peer : peers) {
            if (!PeersBuild.NAMES.contains(peer)) {
                throw new ParameterException(spec.commandLine(), "--peers = " + peer + " is none of "
                        + String.join(", ", PeersBuild.NAMES));
            }
        }
        BenchSettings settings = quick ? BenchSettings.QUICK : BenchSettings.FULL;
        Instant start = Instant.now().truncatedTo(ChronoUnit.SECONDS);
        Path folder = out.resolve(STAMP.format(start) + "-" + settings.mode());
        Workspace.makeFolder(folder.toAbsolutePath());
        Path file = folder.resolve(BenchFiles.NAME);
        double load = loadAverage();
        List<Job> jobs = jobs(settings, ops, backendNames()).stream().map(this::chosen)
                .filter(job -> job.plan.steps() > 0).toList();
        PrintWriter told = spec.commandLine().getOut();
        try (var workspace = new Workspace()) {
            Map<String, String> classPaths = peers.isEmpty() ? Map.of() : PeersBuild.classPaths(peers, told);
            var report = new BenchReport(BenchReport.FORMAT, commit(), start.toString(), 0, false, settings,
                    Machine.here(), null, load, load, List.of(), List.of(), List.of(), List.of(), List.of(), List.of());
            int steps = jobs.stream().mapToInt(job -> job.plan.steps()).sum();
            try (var progress = new Progress("bench", steps)) {
                for (int i = 0; i < jobs.size(); i++) {
                    Job job = jobs.get(i);
                    String peer = job.plan.peer();
                    try {
                        run(job, i, classPaths.getOrDefault(peer, ""), workspace, progress,
                                () -> save(workspace, file, report, false));
                    } catch (ChildJvm.IsobitChildException e) {
                        if (peer.isEmpty()) {
                            throw e;
                        }
                        // Its native libraries may not start here; the others are measured all the same.
                        spec.commandLine().getErr().println(e.getMessage());
                        absent.add(peer + ": " + e.getMessage().lines().filter(line -> line.contains("Exception")
                                || line.contains("Error")).reduce((first, last) -> last).orElse("its JVM ended"));
                    }
                }
            }
            save(workspace, file, report, true);
        }
        print(told);
        told.println();
        told.println(file.toAbsolutePath());
        told.flush();
        return 0;
    }

    private List<String> backendNames() {
        List<BackendProbe> probes = OwnJvm.probes();
        List<String> names = new ArrayList<>();
        for (String name : backends.isEmpty() ? List.of("cuda", "cpu") : backends) {
            BackendProbe probe = probes.stream().filter(p -> p.name().equals(name)).findFirst().orElse(null);
            if (probe == null || name.equals("reference")) {
                throw new ParameterException(spec.commandLine(), "--backend = " + name + " is none of cpu, cuda, sim");
            }
            if (probe.available()) {
                names.add(name);
            } else if (backends.isEmpty()) {
                absent.add(name + ": " + probe.detail());
            } else {
                throw new IllegalArgumentException("backend " + name + " does not run here: " + probe.detail());
            }
        }
        return names;
    }

    /** Forks come one after the other, so that what changes in an hour is in all cases. */
    private List<Job> jobs(BenchSettings settings, List<String> ops, List<String> names) {
        List<Job> jobs = new ArrayList<>();
        int processors = Runtime.getRuntime().availableProcessors();
        for (int fork = 0; fork < settings.forks(); fork++) {
            for (String name : names) {
                boolean first = fork == 0;
                if (BenchInChild.isDevice(name)) {
                    List<BenchCase> cases = OwnJvm.isFor(name)
                            ? BenchGrid.simulated(ops)
                            : BenchGrid.device(settings.quick(), ops, dtypes(settings));
                    if (first || !OwnJvm.isFor(name)) {
                        jobs.add(new Job(new BenchPlan(name, settings, cases, first ? name : "", ops, ""),
                                List.of()));
                    }
                    continue;
                }
                for (String operation : ops) {
                    jobs.add(new Job(new BenchPlan(name, settings,
                            BenchGrid.host(settings.quick(), first, List.of(operation), dtypes(settings), processors),
                            first ? name : "", List.of(operation), ""), List.of()));
                }
                if (first && name.equals("cpu")) {
                    jobs.add(new Job(new BenchPlan(name, settings, List.of(), "cpu, scalar code", ops, ""),
                            List.of("-Disobit.cpu.path=scalar")));
                }
                // One JVM of a quick run, and one for each number of threads: some libraries take it from their environment.
                if (name.equals("cpu") && (first || !settings.quick())) {
                    for (String peer : peers) {
                        for (int threads : BenchGrid.threads(processors)) {
                            var plan = new BenchPlan(name, settings, BenchGrid.peers(ops, threads),
                                    first && threads == 1 ? name : "", ops, peer);
                            jobs.add(new Job(plan, List.of(), PeersBuild.environment(threads)));
                        }
                    }
                }
            }
        }
        // The kernels run in any case, to compare their bits.
        if (names.contains("cpu") && !names.contains("cuda") && !names.contains(OwnJvm.SIM)
                && OwnJvm.probes().stream().anyMatch(probe -> probe.name().equals(OwnJvm.SIM) && probe.available())) {
            jobs.add(new Job(new BenchPlan(OwnJvm.SIM, settings, List.of(), OwnJvm.SIM, ops, ""), List.of()));
        }
        return jobs;
    }

    private Job chosen(Job job) {
        Pattern pattern = only;
        String peer = job.plan.peer().isEmpty() ? "" : " beside " + job.plan.peer();
        return pattern == null
                ? job
                : new Job(new BenchPlan(job.plan.backend(), job.plan.settings(),
                        job.plan.cases().stream().filter(what -> pattern.matcher(what + peer).find()).toList(), "",
                        job.plan.operations(), job.plan.peer()), job.flags, job.environment);
    }

    private List<DType> dtypes(BenchSettings settings) {
        return !dtypes.isEmpty() ? dtypes : settings.quick() ? List.of(DType.F32) : BenchCase.dtypes("cross-entropy");
    }

    private void run(Job job, int number, String classPath, Workspace workspace, Progress progress, Runnable save) {
        Path plan = workspace.temporary("plan-" + number + ".json");
        Path results = workspace.temporary("fragment-" + number + ".json");
        workspace.write(plan, Json.write(job.plan));
        progress.message(job.plan.backend() + " " + String.join(", ", job.plan.operations())
                + (job.plan.peer().isEmpty() ? "" : " beside " + job.plan.peer()));
        var before = new Before(job.plan.backend());
        var child = new ChildJvm(workspace, job.flags, job.environment, classPath, BenchInChild.class,
                List.of(plan.toString(), results.toString()));
        child.run(done -> {
            before.add(Json.read(results, BenchFragment.class));
            save.run();
            progress.step(1);
        });
        before.add(Json.read(results, BenchFragment.class));
        save.run();
    }

    /** What was there before a child began: its fragment replaces what its last fragment added. */
    private final class Before {
        private final String backend;
        private final Map<String, Measurement> oldMeasurements = new LinkedHashMap<>(measurements);
        private final List<BenchReport.Accuracy> oldAccuracy = List.copyOf(accuracy);
        private final List<BenchReport.HostCost> oldHostCosts = List.copyOf(hostCosts);
        private final List<BenchReport.Transfer> oldTransfers = List.copyOf(transfers);

        Before(String backend) {
            this.backend = backend;
        }

        void add(BenchFragment fragment) {
            measurements.clear();
            measurements.putAll(oldMeasurements);
            fragment.measurements().forEach(found -> measurements
                    .merge(found.backend() + found.what() + found.clock() + found.peer(), found, Measurements::join));
            replace(accuracy, oldAccuracy, fragment.accuracy());
            replace(hostCosts, oldHostCosts, fragment.hostCosts());
            replace(transfers, oldTransfers, fragment.transfers());
            fragment.runners().stream()
                    .filter(runner -> runners.stream().noneMatch(known -> known.name().equals(runner.name())))
                    .forEach(runners::add);
            absent.addAll(fragment.absent());
            if (!fragment.device().isEmpty() && !OwnJvm.isFor(backend)) {
                device = fragment.device();
            }
        }

        private static <T> void replace(List<T> all, List<T> old, List<T> added) {
            all.clear();
            all.addAll(old);
            // The backend's errors are measured beside each peer, the same again.
            added.stream().filter(item -> !all.contains(item)).forEach(all::add);
        }
    }

    private void save(Workspace workspace, Path file, BenchReport start, boolean complete) {
        workspace.write(file, Json.write(start.with((System.nanoTime() - startNanos) * 1e-9, complete, loadAverage(),
                runners, List.copyOf(absent), List.copyOf(measurements.values()), accuracy, hostCosts, transfers,
                device)));
    }

    private void print(PrintWriter told) {
        told.printf(Locale.ROOT, "%-44s %12s %9s %9s %7s %9s %7s %7s%n", "", "us", "G elem/s", "GB/s", "of copy",
                "of stream", "of C", "B/call");
        List<Measurement> beside = measurements.values().stream().filter(found -> !found.peer().isEmpty()).toList();
        for (Measurement found : measurements.values()) {
            if (!found.peer().isEmpty()) {
                continue;
            }
            SideResult own = found.own();
            told.printf(Locale.ROOT, "%-44s %12.2f %9.3f %9.2f %7s %9s %7s %7s%n",
                    found.backend() + " " + found.what() + (found.clock().equals(CpuTiming.CLOCK)
                            ? ""
                            : ", " + found.clock()),
                    own.microseconds().median(), own.gigaElements(), own.gigaBytes(),
                    fraction(found.side(MemoryStreams.COPY)), fraction(found.stream()),
                    fraction(found.side(BaselinePeer.NAME)),
                    found.allocatedBytesPerCall() < 0 ? "" : Math.round(found.allocatedBytesPerCall()));
        }
        measurements.values().forEach(found -> found.timesBareStep().ifPresent(times -> told.printf(Locale.ROOT,
                "%s %s, %s: %.2f times the time of a bare step%n", found.backend(), found.what(), found.clock(),
                times)));
        if (!beside.isEmpty()) {
            told.printf(Locale.ROOT, "%n%-44s %-12s %12s %12s %7s%n", "", "beside", "us", "us of it", "times");
        }
        for (Measurement found : beside) {
            SideResult other = found.side(found.peer());
            if (other != null) {
                told.printf(Locale.ROOT, "%-44s %-12s %12.2f %12.2f %7s%n", found.backend() + " " + found.what(),
                        found.peer(), found.own().microseconds().median(), other.microseconds().median(),
                        fraction(other));
            }
        }
        absent.forEach(line -> told.println("not measured: " + line));
    }

    private static String fraction(@Nullable SideResult side) {
        return side == null || side.fraction() == null
                ? ""
                : String.format(Locale.ROOT, "%.2f", side.fraction().median());
    }

    private static double loadAverage() {
        return ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
    }

    private static String commit() {
        String home = System.getProperty("isobit.home", "");
        if (!Files.exists(Path.of(home, ".git"))) {
            return "unknown";
        }
        try {
            Process git = new ProcessBuilder("git", "-C", home, "describe", "--always", "--dirty")
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            String said = new String(git.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return git.waitFor() == 0 ? said : "unknown";
        } catch (IOException e) {
            return "unknown";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "unknown";
        }
    }
}
