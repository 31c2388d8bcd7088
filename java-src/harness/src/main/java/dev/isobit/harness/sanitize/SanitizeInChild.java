package dev.isobit.harness.sanitize;

import dev.isobit.Backend;
import dev.isobit.IsobitException;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.cuda.CudaProvider;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.sanitize.SanitizeReport.Finding;
import dev.isobit.ptx.DeviceFault;
import dev.isobit.ptx.ThreadLocation;
import dev.isobit.sim.Chip;
import dev.isobit.sim.SimOptions;
import dev.isobit.sim.SimulatedDriver;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Main class of a child JVM: runs the shapes on watched devices and leaves the report in a file. */
final class SanitizeInChild {
    /** One chip for each PTX that is shipped; one multiprocessor, so that kernels go round and round. */
    private static final List<Chip> CHIPS =
            List.of(Chip.of("sm_75").withMultiprocessors(1), Chip.of("sm_90").withMultiprocessors(1));

    private static final Pattern ENTRY = Pattern.compile("\\.entry\\s+(\\w+)");

    /** Held, or its level would be collected: the report has what the driver warns of. */
    private static final Logger LOG = Logger.getLogger("isobit");

    private final Map<String, Long> launches = new TreeMap<>();
    private final List<String> missed = new ArrayList<>();
    private final List<Finding> findings = new ArrayList<>();
    private final List<String> violations = new ArrayList<>();
    private long threadInstructions;

    private SanitizeInChild() {}

    /** Arguments: the file, and every how many shapes one is taken. */
    public static void main(String[] args) throws IOException {
        ChildJvm.endWithParent();
        LOG.setLevel(Level.SEVERE);
        long start = System.nanoTime();
        var run = new SanitizeInChild();
        List<Shapes.Shape> shapes = shapes(Integer.parseInt(args[1]));
        long done = 0;
        for (Chip chip : CHIPS) {
            done = run.on(chip, shapes, done);
        }
        try (var workspace = new Workspace()) {
            workspace.write(Path.of(args[0]), Json.write(new SanitizeReport(SanitizeReport.FORMAT,
                    CHIPS.stream().map(Chip::target).toList(), run.launches, run.missed, run.threadInstructions,
                    (System.nanoTime() - start) * 1e-9, run.findings, run.violations)));
        }
    }

    private static List<Shapes.Shape> shapes(int every) {
        List<Shapes.Shape> all = Shapes.all();
        return IntStream.range(0, all.size()).filter(i -> i % every == 0).mapToObj(all::get).toList();
    }

    static int steps(int every) {
        return CHIPS.size() * shapes(every).size();
    }

    private long on(Chip chip, List<Shapes.Shape> shapes, long before) throws IOException {
        SimOptions options = SimOptions.fromProperties().withChips(List.of(chip)).withSanitizing(true);
        SimulatedDriver driver = SimulatedDriver.running();
        if (driver == null) {
            driver = SimulatedDriver.start(options);
        } else {
            driver.reset(options);
        }
        long done = before;
        String ptx = null;
        for (Shapes.Shape shape : shapes) {
            // What can be one launch or three is run both ways.
            for (boolean cooperative : shape.isGuarded() ? new boolean[] {true, false} : new boolean[] {true}) {
                System.setProperty(CudaProvider.COOPERATIVE_PROPERTY, Boolean.toString(cooperative));
                // One device for each, so that one that is lost takes no other along.
                try (var backend = (CudaBackend) Backend.open("sim")) {
                    ptx = backend.device().ptx();
                    shape.run(backend);
                } catch (IsobitException e) {
                    if (driver.deviceFaults().isEmpty()) {
                        violations.add(chip.target() + ", " + shape.name() + ": " + e.getMessage());
                    }
                }
            }
            done++;
            ChildJvm.tellProgress(done);
        }
        driver.findings().forEach(finding -> add(chip, finding.kind().name(), finding.message(), finding.thread(),
                finding.address(), String.valueOf(Objects.requireNonNullElse(finding.other(), "")), finding.count()));
        for (DeviceFault fault : driver.deviceFaults()) {
            add(chip, fault.kind().name(), String.valueOf(fault.getMessage()), fault.thread(), fault.address(), "", 1);
        }
        driver.violations().forEach(violation -> violations.add(chip.target() + ": " + violation));
        driver.launches().forEach((kernel, count) -> launches.put(chip.target() + " " + kernel, count));
        threadInstructions += driver.threadInstructions();
        for (String op : List.of("cross_entropy", "cross_entropy_bf16", "cross_entropy_f16", "cross_entropy_general",
                "cross_entropy_general_bf16", "cross_entropy_general_f16", "bce_with_logits", "bce_with_logits_bf16",
                "bce_with_logits_f16", "bce_with_logits_focal", "bce_with_logits_focal_bf16",
                "bce_with_logits_focal_f16",
                "accumulate", "adam", "adam_guarded", "adam_mixed", "adam_mixed_guarded", "sgd", "sgd_guarded",
                "sgd_mixed",
                "sgd_mixed_guarded", "softmax", "softmax_bf16", "softmax_f16", "nll_loss", "nll_loss_bf16",
                "nll_loss_f16", "guard")) {
            for (String kernel : kernels(op, Objects.requireNonNull(ptx))) {
                if (!launches.containsKey(chip.target() + " " + kernel)) {
                    missed.add(chip.target() + " " + kernel);
                }
            }
        }
        return done;
    }

    private void add(Chip chip, String kind, String message, @Nullable ThreadLocation at, long address, String other,
            long count) {
        findings.add(new Finding(chip.target(), kind, message, at == null ? "" : at.kernel(),
                at == null ? "" : at.source().toString(), at == null ? "" : at.instruction(),
                at == null ? "" : at.block().toString(), at == null ? "" : at.thread().toString(),
                String.format(Locale.ROOT, "0x%x", address), other, count));
    }

    private static List<String> kernels(String op, String target) throws IOException {
        try (InputStream in =
                CudaBackend.class.getResourceAsStream("/dev/isobit/cuda/ptx/" + op + "." + target + ".ptx")) {
            String text = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
            List<String> kernels = ENTRY.matcher(text).results().map(found -> found.group(1)).toList();
            if (kernels.isEmpty()) {
                throw new IllegalStateException(op + "." + target + ".ptx has no kernel");
            }
            return kernels;
        }
    }
}
