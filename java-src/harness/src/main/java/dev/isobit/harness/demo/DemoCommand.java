package dev.isobit.harness.demo;

import dev.isobit.Backend;
import dev.isobit.BackendProbe;
import dev.isobit.DType;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.Machine;
import dev.isobit.harness.OwnJvm;
import dev.isobit.harness.Progress;
import dev.isobit.harness.Ulp;
import dev.isobit.harness.Workspace;
import dev.isobit.sim.SimProvider;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code isobit demo}: trains a classifier of handwritten digits and compares the bits of every path. */
@Command(name = "demo", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Trains a classifier of real handwritten digits on every path and compares the bits.",
        description = {"Trains a network with one hidden layer on 1,797 real handwritten digits with fused "
                + "cross-entropy and fused AdamW on the best backend here, then trains one split again on every other "
                + "path and compares loss curves and final weights bit by bit.",
            "Writes a page (HTML) and a JSON file."},
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:every float32 run gave the same bits", "1:two runs parted: the output says where",
            "2:wrong options", "3:it could not run"})
public final class DemoCommand implements Callable<Integer> {
    private static final int COMPARED_SPLIT = 0;

    @Option(names = "--out", paramLabel = "DIR", defaultValue = "target",
            description = "folder for isobit-demo.html and isobit-demo.json (default: ${DEFAULT-VALUE})")
    private Path out = Path.of("target");

    @Option(names = "--backend", paramLabel = "NAME", description = "train on this backend instead of the best one")
    private @Nullable String backendName;

    @Option(names = "--epochs", paramLabel = "N", description = "passes over the training digits (default: 24)")
    private int epochs = Training.defaults().epochs();

    @Option(names = "--splits", paramLabel = "N",
            description = "random stratified 80/20 splits to train (default: ${DEFAULT-VALUE})")
    private int splits = 5;

    @Option(names = "--seed", paramLabel = "N",
            description = "seed of splits, initial weights and order (default: 20)")
    private long seed = Training.defaults().seed();

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public DemoCommand() {}

    /** A run of the compared split in a JVM of its own. */
    private record Variant(String name, String backend, List<String> flags) {}

    private static final List<Variant> VARIANTS = List.of(
            new Variant("cpu, scalar code", "cpu", List.of("-Disobit.cpu.path=scalar")),
            new Variant("cpu, one thread", "cpu", List.of("-Disobit.threads=1")),
            new Variant("cpu, 128-bit vectors", "cpu", List.of("-XX:MaxVectorSize=16")));

    @Override
    public Integer call() {
        requireAtLeastOne("--epochs", epochs);
        requireAtLeastOne("--splits", splits);
        if ("reference".equals(backendName)) {
            throw new ParameterException(spec.commandLine(), "--backend = reference computes in float64; it is shown "
                    + "beside the float32 backends anyway");
        }
        Training training = Training.defaults().withEpochs(epochs).withSeed(seed);
        Digits digits = Digits.load();
        Workspace.makeFolder(out);
        try (var workspace = new Workspace()) {
            DemoReport report = run(workspace, training, digits);
            Path page = out.resolve("isobit-demo.html");
            Path json = out.resolve("isobit-demo.json");
            workspace.write(json, Json.write(report));
            workspace.write(page, DemoPage.html(report, digits));
            say("%nPage: %s%nData: %s", page.toAbsolutePath().normalize(), json.toAbsolutePath().normalize());
            return report.sameBits() ? 0 : 1;
        }
    }

    private void requireAtLeastOne(String option, int value) {
        if (value < 1) {
            throw new ParameterException(spec.commandLine(), option + " = " + value + " is not at least 1");
        }
    }

    private DemoReport run(Workspace workspace, Training training, Digits digits) {
        List<TrainingRecord> records = new ArrayList<>();
        List<Agreement> runs = new ArrayList<>();
        String name;
        String description;
        try (Backend backend = backendName == null ? Backend.best() : Backend.open(backendName)) {
            name = backend.name();
            description = backend.description();
            say("Training on %s: %s", name, description);
            passedOver(name).forEach(reason -> say("(not on %s)", reason));
            say("%d digits, one hidden layer of %d, %d epochs of %d steps of AdamW", digits.size(), training.hidden(),
                    epochs, Math.ceilDiv(digits.split(0).train().length, training.batch()));
            for (int split = 0; split < splits; split++) {
                TrainingRecord record =
                        train("split " + (split + 1) + "/" + splits, backend, training, digits, split);
                records.add(record);
                say("  split %d: loss %.4f, held-out loss %.4f, held-out accuracy %.2f %% (%d of %d), %.1f s",
                        split + 1,
                        record.epochLoss(epochs - 1), record.evaluation().meanLoss(), 100 * record.accuracy(),
                        record.evaluation().correct(), record.evaluation().indices().length, record.seconds());
            }
        }
        double accuracy = records.stream().mapToDouble(TrainingRecord::accuracy).average().orElseThrow();
        say("Mean held-out accuracy %.2f %%", 100 * accuracy);

        TrainingRecord expected = records.get(COMPARED_SPLIT);
        say("%nSplit %d again, step by step against %s (%d losses, %d weights):", COMPARED_SPLIT + 1, name,
                expected.steps(), expected.weightBits().length);
        boolean gpu = false;
        for (BackendProbe probe : Backend.probes()) {
            gpu |= probe.name().equals("cuda") && probe.available();
            if (probe.available() && !probe.name().equals(name) && !probe.name().equals("reference")
                    && !OwnJvm.isFor(probe.name())) {
                try (Backend other = Backend.open(probe.name())) {
                    if (other.dtypes().contains(DType.F32)) {
                        runs.add(tell(Agreement.of(probe.name(), expected,
                                train(probe.name(), other, training, digits, COMPARED_SPLIT))));
                    }
                }
            }
        }
        for (Variant variant : VARIANTS) {
            runs.add(tell(Agreement.of(variant.name(), expected,
                    trainInChild(workspace, variant, training))));
        }
        if (!gpu && !OwnJvm.isFor(name)) {
            simulated(workspace, digits, training, name).ifPresent(run -> runs.add(tell(run)));
        }
        TrainingRecord float64;
        try (Backend reference = Backend.open("reference")) {
            float64 = train("reference", reference, training, digits, COMPARED_SPLIT);
        }
        Agreement reference = Agreement.of("float64 reference", expected, float64);
        long[] distances = new long[expected.steps()];
        for (int step = 0; step < distances.length; step++) {
            distances[step] = Ulp.between(expected.loss(step), float64.loss(step));
        }
        tellReference(reference, distances);
        return new DemoReport(DemoReport.FORMAT, Machine.here(),
                "1,797 handwritten digits: UCI Optical Recognition of Handwritten Digits, test part", training, name,
                description, passedOver(name), accuracy, records.stream().map(DemoReport.Split::of).toList(),
                COMPARED_SPLIT + 1, runs.stream().allMatch(Agreement::sameBits), runs, reference, distances,
                DemoReport.confusion(digits, records), DemoReport.mistakes(digits, records));
    }

    /** With no GPU here, the kernels' PTX is interpreted: for one epoch, which is another training than a longer one's. */
    private Optional<Agreement> simulated(Workspace workspace, Digits digits, Training training, String name) {
        BackendProbe sim = SimProvider.probeOwnJvm();
        if (!sim.available()) {
            say("(not on sim: %s)", sim.detail());
            return Optional.empty();
        }
        Training oneEpoch = training.withEpochs(1);
        try (Backend backend = Backend.open(name)) {
            TrainingRecord expected = oneEpoch.run(backend, digits, COMPARED_SPLIT, done -> {});
            return Optional.of(Agreement.of("sim, one epoch", expected,
                    trainInChild(workspace, new Variant("sim", OwnJvm.SIM, List.of()), oneEpoch)));
        }
    }

    /** Backends before the one that runs that cannot run here. */
    private static List<String> passedOver(String name) {
        return Backend.probes().stream().takeWhile(probe -> !probe.name().equals(name))
                .filter(probe -> !probe.available()).map(probe -> probe.name() + ": " + probe.detail()).toList();
    }

    private TrainingRecord train(String task, Backend backend, Training training, Digits digits, int split) {
        try (var progress = new Progress(task, epochs)) {
            return training.run(backend, digits, split, done -> progress.step(1));
        }
    }

    private TrainingRecord trainInChild(Workspace workspace, Variant variant, Training training) {
        Path settings = workspace.temporary("training.json");
        Path result = workspace.temporary("record.json");
        workspace.write(settings, Json.write(training));
        try (var progress = new Progress(variant.name(), training.epochs())) {
            new ChildJvm(workspace, variant.flags(), TrainInChild.class,
                    List.of(variant.backend(), Integer.toString(COMPARED_SPLIT), settings.toString(),
                            result.toString()))
                    .run(done -> progress.step(1));
        }
        return Json.read(result, TrainingRecord.class);
    }

    private Agreement tell(Agreement run) {
        say("  %-22s %s (%s)", run.run(), run.sameBits() ? "same bits" : "PARTS at " + run.firstDifference(),
                run.description());
        return run;
    }

    private void tellReference(Agreement reference, long[] distances) {
        say("  %-22s loss %d ULP off at step 1, at most %d; weights %d ULP off at the end (median); "
                + "held-out accuracy %.2f %%", reference.run(), distances[0], reference.largestLossUlp(),
                reference.medianWeightUlp(), 100 * reference.heldOutAccuracy());
    }

    private void say(String format, Object... values) {
        PrintWriter to = spec.commandLine().getOut();
        to.printf(Locale.ROOT, format + "%n", values);
        to.flush();
    }
}
