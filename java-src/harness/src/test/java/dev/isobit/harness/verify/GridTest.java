package dev.isobit.harness.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class GridTest {
    private static boolean isOfAnOptimizer(Problem problem) {
        return problem instanceof AdamProblem || problem instanceof SgdProblem || problem instanceof GuardedProblem;
    }

    /** What a full run promises of optimizers. */
    @Test
    void aFullRunHasTwentyThousandCasesOfOptimizers() {
        List<Problem> problems = Grid.of(Grid.FULL).problems();
        Set<String> names = problems.stream().filter(GridTest::isOfAnOptimizer).map(Problem::name)
                .collect(Collectors.toSet());
        assertTrue(names.size() >= 20_000, names.size() + " cases");
        assertEquals(9, problems.stream().filter(p -> p instanceof GuardedProblem g && g.steps() == 1000).count());
    }
}
