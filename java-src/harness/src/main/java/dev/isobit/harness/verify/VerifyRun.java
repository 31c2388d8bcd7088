package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Machine;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.verify.VerifyReport.Accuracy;
import dev.isobit.harness.verify.VerifyReport.Agreement;
import dev.isobit.harness.verify.VerifyReport.Difference;
import dev.isobit.harness.verify.VerifyReport.Edge;
import dev.isobit.harness.verify.VerifyReport.FormAgreement;
import dev.isobit.harness.verify.VerifyReport.SubjectEntry;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Runs a grid on all subjects and judges what they wrote. Children run beside this JVM, one after the other. Used by
 * one thread, once.
 */
final class VerifyRun {
    /** More lines than this of one kind are not listed. */
    private static final int MOST_LINES = 50;

    private final Grid grid;
    private final Backend reference;
    private final List<Subject> subjects;
    private final List<ChildSubject> children;
    private final Workspace workspace;
    private final LongConsumer progress;

    private final Map<Key, Judge> judges = new TreeMap<>(Key.ORDER);
    private final Map<String, Tally> forms = new LinkedHashMap<>();
    private final List<Tape> tapes = new ArrayList<>();
    private final List<String> faults = new ArrayList<>();
    private final List<String> failures = new ArrayList<>();
    private long faultCount;

    /** What one row of the table of errors is about. */
    private record Key(String backend, String operation, Output output, String inputs) {
        static final Comparator<Key> ORDER = Comparator.comparing(Key::backend).thenComparing(Key::operation)
                .thenComparing(Key::output).thenComparing(Key::inputs);
    }

    /** Counts comparisons of bits. */
    private static final class Tally {
        private final String first;
        private final String second;
        private long outputs;
        private long elements;
        private long differing;
        private @Nullable Difference firstDifference;

        Tally(String first, String second) {
            this.first = first;
            this.second = second;
        }
    }

    VerifyRun(Grid grid, Backend reference, List<Subject> subjects, List<ChildSubject> children, Workspace workspace,
            LongConsumer progress) {
        this.grid = grid;
        this.reference = reference;
        this.subjects = subjects;
        this.children = children;
        this.workspace = workspace;
        this.progress = progress;
    }

    /** How many steps {@link #progress} will be told. */
    static long steps(Grid grid, int subjects, int children) {
        return (long) grid.problems().size() * (subjects + children);
    }

    VerifyReport run(List<String> absent) {
        long start = System.nanoTime();
        List<Tape> childTapes = new ArrayList<>();
        Thread beside = Thread.ofPlatform().daemon().name("isobit-verify-children").start(() -> {
            for (ChildSubject child : children) {
                runChild(child, childTapes);
            }
        });
        List<SubjectEntry> entries = new ArrayList<>();
        List<Edge> edges = new ArrayList<>();
        for (Subject subject : subjects) {
            try (Backend backend = subject.opener().get(); var slab = new Slab(backend)) {
                entries.add(new SubjectEntry(subject.name(), backend.description(), null));
                edges.addAll(edges(subject, backend));
                tapes.add(run(subject, backend, slab));
            }
        }
        try {
            beside.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
        for (Tape tape : childTapes) {
            tapes.add(tape);
            ChildSubject child = children.stream().filter(c -> c.name().equals(tape.name())).findFirst().orElseThrow();
            entries.add(new SubjectEntry(tape.name(), tape.description(), child.flags()));
            addFaults(tape.name(), tape.faults());
        }
        return report(start, entries, absent, edges);
    }

    private static List<Edge> edges(Subject subject, Backend backend) {
        try {
            return EdgeChecks.of(subject.name(), backend);
        } catch (RuntimeException e) {
            return List.of(new Edge(subject.name(), "edges", false, e.toString()));
        }
    }

    private Tape run(Subject subject, Backend backend, Slab slab) {
        var tape = new Tape(subject.name(), backend.description(), grid.problems().size());
        for (int i = 0; i < grid.problems().size(); i++) {
            Problem problem = grid.problems().get(i);
            Problem.Prepared prepared = problem.prepare();
            try {
                run(i, problem, prepared, subject, backend, slab, tape);
            } catch (RuntimeException e) {
                addFaults(subject.name(), List.of(problem.name() + ": threw " + e));
            }
            progress.accept(1);
        }
        return tape;
    }

    /** Asks in all forms; the first is measured, the others must have its bits. */
    private void run(int index, Problem problem, Problem.Prepared prepared, Subject subject, Backend backend,
            Slab slab, Tape tape) {
        List<Form> all = prepared.forms();
        Results first = prepared.run(backend, slab, all.getFirst());
        addFaults(subject.name(), first, problem, all.getFirst());
        tape.put(index, first);
        // In the default grid two more ways, another configuration one, and each problem others.
        List<Form> others = all.subList(1, all.size());
        int asked = !subject.judged() ? 1 : grid.name().equals(Grid.FULL) ? others.size() : Math.min(2, others.size());
        for (int i = 0; i < asked; i++) {
            Form form = others.get((index * asked + i) % others.size());
            Results other = prepared.run(backend, slab, form);
            addFaults(subject.name(), other, problem, form);
            compare(forms.computeIfAbsent(subject.name() + "\n" + form.name(),
                    key -> new Tally(subject.name(), form.name())), problem, first, other);
        }
        if (subject.judged() && prepared.isJudged()) {
            prepared.reference(reference).forEach((output, expected) -> prepared.judge(output, expected,
                    Objects.requireNonNull(first.bits().get(output)),
                    judges.computeIfAbsent(new Key(subject.name(), problem.operation(), output, problem.inputs()),
                            key -> new Judge())));
        }
    }

    private static void compare(Tally tally, Problem problem, Results expected, Results actual) {
        actual.bits().forEach((output, bits) -> {
            int[] wanted = expected.bits().get(output);
            if (wanted == null) {
                return;
            }
            tally.outputs++;
            tally.elements += wanted.length;
            long differing = 0;
            int first = -1;
            for (int i = 0; i < Math.max(wanted.length, bits.length); i++) {
                if (i >= wanted.length || i >= bits.length || wanted[i] != bits[i]) {
                    differing++;
                    first = first < 0 ? i : first;
                }
            }
            if (differing > 0) {
                tally.differing++;
                if (tally.firstDifference == null) {
                    tally.firstDifference = new Difference(problem.name(), output.label(), first, differing,
                            hex(wanted, first), hex(bits, first));
                }
            }
        });
    }

    private static String hex(int[] bits, int index) {
        return index < bits.length
                ? String.format(Locale.ROOT, "0x%08x (%s)", bits[index], Float.intBitsToFloat(bits[index]))
                : "nothing";
    }

    private void addFaults(String subject, Results results, Problem problem, Form form) {
        if (!results.faults().isEmpty()) {
            addFaults(subject, results.faults().stream()
                    .map(fault -> problem.name() + ", " + form.name() + ": " + fault).toList());
        }
    }

    private void addFaults(String subject, Collection<String> lines) {
        for (String line : lines) {
            faultCount++;
            if (faults.size() < MOST_LINES) {
                faults.add(subject + ": " + line);
            }
        }
    }

    private void runChild(ChildSubject child, List<Tape> into) {
        long[] told = {0};
        try {
            Path file = workspace.temporary("tape-" + into.size() + "-" + System.nanoTime());
            new ChildJvm(workspace, child.flags(), VerifyInChild.class,
                    List.of(child.backend(), grid.name(), file.toString(), child.name())).run(done -> {
                        progress.accept(done - told[0]);
                        told[0] = done;
                    });
            into.add(Tape.read(file));
        } catch (RuntimeException | Error e) {
            // Whatever it is: a child that is not compared, of which nobody hears, would let a run pass.
            synchronized (failures) {
                failures.add(child.name() + ": " + (e.getMessage() == null ? e.toString() : e.getMessage()));
            }
        }
        progress.accept(grid.problems().size() - told[0]);
    }

    private VerifyReport report(long start, List<SubjectEntry> entries, List<String> absent, List<Edge> edges) {
        List<Accuracy> accuracy = judges.entrySet().stream()
                .map(e -> new Accuracy(e.getKey().backend, e.getKey().operation, e.getKey().output.label(),
                        e.getKey().inputs, e.getValue().elements(), e.getValue().max(), e.getValue().rms(),
                        e.getValue().budget(), e.getValue().over(), e.getValue().worst()))
                .toList();
        List<Agreement> agreement = new ArrayList<>();
        for (int a = 0; a < tapes.size(); a++) {
            for (int b = a + 1; b < tapes.size(); b++) {
                agreement.add(agreement(tapes.get(a), tapes.get(b)));
            }
        }
        List<FormAgreement> formAgreement = forms.values().stream().map(
                t -> new FormAgreement(t.first, t.second, t.outputs, t.elements, t.differing, t.firstDifference))
                .toList();
        addFailures(accuracy, agreement, formAgreement, edges);
        return new VerifyReport(VerifyReport.FORMAT, Machine.here(), grid.name(), grid.problems().size(),
                grid.operations(), (System.nanoTime() - start) * 1e-9, failures.isEmpty(), failures, entries, absent,
                accuracy, agreement,
                formAgreement, edges, faults);
    }

    private Agreement agreement(Tape first, Tape second) {
        long outputs = 0;
        long elements = 0;
        long differing = 0;
        Difference firstDifference = null;
        for (int i = 0; i < grid.problems().size(); i++) {
            long[] a = first.digests(i);
            long[] b = second.digests(i);
            int[] lengths = first.lengths(i);
            for (int output = 0; output < Math.min(a.length, b.length); output++) {
                outputs++;
                elements += lengths[output];
                if (a[output] != b[output]) {
                    differing++;
                    firstDifference = firstDifference != null ? firstDifference : difference(i, output, first, second);
                }
            }
        }
        return new Agreement(first.name(), second.name(), outputs, elements, differing, firstDifference);
    }

    /** Asks both again for the problem in which they differ, to name the element. */
    private Difference difference(int index, int output, Tape first, Tape second) {
        Problem problem = grid.problems().get(index);
        var tally = new Tally(first.name(), second.name());
        try {
            Results a = again(index, first.name());
            Results b = again(index, second.name());
            compare(tally, problem, a, b);
        } catch (RuntimeException e) {
            addFaults(second.name(), List.of(problem.name() + " again: " + e.getMessage()));
        }
        return tally.firstDifference != null
                ? tally.firstDifference
                : new Difference(problem.name(), "output " + output, -1, -1, null, null);
    }

    private Results again(int index, String name) {
        for (Subject subject : subjects) {
            if (subject.name().equals(name)) {
                try (Backend backend = subject.opener().get(); var slab = new Slab(backend)) {
                    Problem.Prepared prepared = grid.problems().get(index).prepare();
                    return prepared.run(backend, slab, prepared.forms().getFirst());
                }
            }
        }
        ChildSubject child = children.stream().filter(c -> c.name().equals(name)).findFirst().orElseThrow();
        Path file = workspace.temporary("again-" + System.nanoTime());
        new ChildJvm(workspace, child.flags(), VerifyInChild.class,
                List.of(child.backend(), grid.name(), file.toString(), child.name(), Integer.toString(index)))
                .run(done -> {});
        return Tape.readResults(file);
    }

    private void addFailures(List<Accuracy> accuracy, List<Agreement> agreement, List<FormAgreement> formAgreement,
            List<Edge> edges) {
        for (Accuracy a : accuracy) {
            if (!(a.over() == 0 && a.elements() >= 0)) {
                failures.add(
                        String.format(Locale.ROOT, "%s %s %s, %s: %.3g ULP, promised %.3g; %d of %d over; worst: %s",
                                a.backend(), a.operation(), a.output(), a.inputs(), a.maxUlp(), a.budget(), a.over(),
                                a.elements(), a.worst()));
            }
        }
        for (Agreement a : agreement) {
            if (a.differingOutputs() > 0) {
                failures.add(a.first() + " and " + a.second() + ": " + a.differingOutputs() + " of " + a.outputs()
                        + " outputs differ; first: " + a.firstDifference());
            }
            if (a.elements() == 0) {
                failures.add(a.first() + " and " + a.second() + ": nothing was compared");
            }
        }
        for (FormAgreement f : formAgreement) {
            if (f.differingOutputs() > 0) {
                failures.add(f.subject() + ", " + f.form() + ": " + f.differingOutputs() + " of " + f.outputs()
                        + " outputs differ; first: " + f.firstDifference());
            }
        }
        edges.stream().filter(edge -> !edge.kept())
                .forEach(edge -> failures.add(edge.subject() + ", " + edge.check() + ": " + edge.detail()));
        if (faultCount > 0) {
            failures.add(faultCount + " faults, such as: " + faults.getFirst());
        }
        for (Subject subject : subjects) {
            if (subject.judged() && accuracy.stream().filter(a -> a.backend().equals(subject.name()))
                    .mapToLong(Accuracy::elements).sum() == 0) {
                failures.add(subject.name() + ": nothing was measured against the reference");
            }
        }
        if (subjects.stream().noneMatch(Subject::judged)) {
            failures.add("nothing was compared: no float32 backend");
        }
    }
}
