package dev.isobit.harness.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.harness.Json;
import dev.isobit.harness.ReadmeBlock;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.verify.VerifyReport.Accuracy;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The accuracy that README.md publishes is that of bench/results/verify.json, and that file is what the code does. */
class RecordedAccuracyTest {
    private static final String RECORD = "bench/results/verify.json";

    private static VerifyReport record;

    /** What a row of the table is about. */
    private record Row(String operation, String output) {
        static Row of(Accuracy accuracy) {
            return new Row(accuracy.operation(), accuracy.output());
        }
    }

    @BeforeAll
    static void read() {
        record = Json.read(Path.of(System.getProperty("isobit.home"), RECORD), VerifyReport.class);
    }

    @Test
    void theRecordIsOfTheWholeGridAndKeptEveryPromise() {
        assertEquals(VerifyReport.FORMAT, record.format());
        assertEquals(Grid.DEFAULT, record.grid());
        assertEquals(Grid.of(Grid.DEFAULT).problems().size(), record.problems(), anew());
        assertTrue(record.passed());
        assertTrue(record.agreement().stream().allMatch(pair -> pair.differingOutputs() == 0 && pair.elements() > 0));
    }

    /** Equal bits everywhere: the problems with the largest errors give those errors on this machine, too. */
    @Test
    void theLargestErrorsAreThoseOfTheCode() {
        Map<Row, Accuracy> expected = largest(record);
        Set<String> names = expected.values().stream().map(accuracy -> accuracy.worst().problem())
                .collect(Collectors.toSet());
        Grid grid = new Grid("largest errors", Grid.of(Grid.DEFAULT).problems().stream()
                .filter(problem -> names.contains(problem.name())).toList());
        assertEquals(names.size(), grid.problems().size(), anew());
        VerifyReport report;
        try (var workspace = new Workspace(); Backend reference = Backend.open("reference")) {
            report = new VerifyRun(grid, reference, List.of(new Subject("cpu", true, () -> Backend.open("cpu"))),
                    List.of(), workspace, done -> {}).run(List.of());
        }
        Map<Row, Accuracy> actual = largest(report);
        assertEquals(expected.keySet(), actual.keySet());
        expected.forEach((row, accuracy) -> assertEquals(accuracy.maxUlp(), actual.get(row).maxUlp(),
                1e-6 * accuracy.maxUlp(), () -> row + ": " + anew()));
    }

    @Test
    void readmeShowsTheRecord() throws IOException {
        long elements = record.agreement().stream().mapToLong(VerifyReport.Agreement::elements).max().orElseThrow();
        var table = new StringBuilder(
                String.format(Locale.ROOT, "0 of %,d results differ in a bit between any two of: %s.%n%n",
                        elements, record.subjects().stream().map(VerifyReport.SubjectEntry::name)
                                .collect(Collectors.joining("; "))));
        table.append("""
                | operation, output | promised | largest | root mean square | elements measured |
                | --- | --- | --- | --- | --- |
                """);
        rows(record).forEach((row,
                all) -> table.append(String.format(Locale.ROOT, "| %s, %s | %s | %.2f | %.2f | %,d |%n",
                        row.operation(), row.output(), budgets(all),
                        all.stream().mapToDouble(Accuracy::maxUlp).max().orElseThrow(), rootMeanSquare(all),
                        elements(all))));
        ReadmeBlock.check("accuracy", table.toString().replace(System.lineSeparator(), "\n"));
    }

    private static String anew() {
        return RECORD + " is not what the code does: write it anew with ./isobit verify --json " + RECORD;
    }

    private static Map<Row, List<Accuracy>> rows(VerifyReport report) {
        return report.accuracy().stream().filter(accuracy -> accuracy.backend().equals("cpu"))
                .collect(Collectors.groupingBy(Row::of, LinkedHashMap::new, Collectors.toList()));
    }

    private static Map<Row, Accuracy> largest(VerifyReport report) {
        return rows(report).entrySet().stream().collect(Collectors.toMap(Map.Entry::getKey, row -> row.getValue()
                .stream().max(Comparator.comparingDouble(Accuracy::maxUlp)).orElseThrow()));
    }

    /** The promise may depend on the inputs: then from the least to the greatest. */
    private static String budgets(List<Accuracy> all) {
        return all.stream().map(Accuracy::budget).distinct().sorted().map(budget -> String.format(Locale.ROOT, "%.0f",
                budget)).collect(Collectors.joining(" to "));
    }

    private static long elements(List<Accuracy> all) {
        return all.stream().mapToLong(Accuracy::elements).sum();
    }

    private static double rootMeanSquare(List<Accuracy> all) {
        // Where nothing was measured there is no mean.
        return Math.sqrt(all.stream().filter(accuracy -> accuracy.elements() > 0)
                .mapToDouble(accuracy -> accuracy.rmsUlp() * accuracy.rmsUlp()
                        * accuracy.elements())
                .sum() / elements(all));
    }
}
