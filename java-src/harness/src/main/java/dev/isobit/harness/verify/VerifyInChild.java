package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.harness.ChildJvm;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Main class of a child JVM: runs a grid on one backend and leaves digests in a file. */
final class VerifyInChild {
    private static final int TOLD_EVERY = 64;
    private static final int MOST_FAULTS = 50;

    private VerifyInChild() {}

    /** Arguments: backend, grid, file, name; with the index of a problem the file gets all its bits. */
    public static void main(String[] args) {
        ChildJvm.endWithParent();
        Grid grid = Grid.of(args[1]);
        Path file = Path.of(args[2]);
        try (Backend backend = Backend.open(args[0]); var slab = new Slab(backend)) {
            if (args.length == 5) {
                Problem.Prepared prepared = grid.problems().get(Integer.parseInt(args[4])).prepare();
                Tape.writeResults(file, prepared.run(backend, slab, prepared.forms().getFirst()));
                return;
            }
            var tape = new Tape(args[3], backend.description(), grid.problems().size());
            EdgeChecks.of(args[3], backend).stream().filter(edge -> !edge.kept())
                    .forEach(edge -> tape.faults().add(edge.check() + ": " + edge.detail()));
            for (int i = 0; i < grid.problems().size(); i++) {
                run(i, grid.problems().get(i), backend, slab, tape);
                if ((i + 1) % TOLD_EVERY == 0) {
                    ChildJvm.tellProgress(i + 1);
                }
            }
            tape.write(file);
        }
    }

    /** In the first form, and in one more, each problem in another. */
    private static void run(int index, Problem problem, Backend backend, Slab slab, Tape tape) {
        try {
            Problem.Prepared prepared = problem.prepare();
            List<Form> forms = prepared.forms();
            Results first = prepared.run(backend, slab, forms.getFirst());
            tape.put(index, first);
            addFaults(tape, problem, forms.getFirst(), first.faults());
            Form form = forms.get(1 + index % (forms.size() - 1));
            Results other = prepared.run(backend, slab, form);
            addFaults(tape, problem, form, other.faults());
            other.bits().forEach((output, bits) -> {
                if (!Arrays.equals(bits, first.bits().get(output))) {
                    addFaults(tape, problem, form, List.of(output.label() + " has other bits than in the first form"));
                }
            });
        } catch (RuntimeException e) {
            addFaults(tape, problem, null, List.of("threw " + e));
        }
    }

    private static void addFaults(Tape tape, Problem problem, @Nullable Form form,
            List<String> faults) {
        for (String fault : faults) {
            if (tape.faults().size() < MOST_FAULTS) {
                tape.faults().add(problem.name() + (form == null ? "" : ", " + form.name()) + ": " + fault);
            }
        }
    }
}
