package dev.isobit.harness.cases;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a case says about an output.
 *
 * @param name as it stands in the case
 * @param output which output it is about
 * @param kind what is to be done with it
 * @param values the values
 * @param indices where in the flat output they stand; null if they are all of it
 */
record Expectation(String name, String output, Kind kind, CaseTensor values, @Nullable CaseTensor indices) {
    /** What is done with a value. */
    enum Kind {
        /** To be met within the case's tolerances. */
        TARGET(""),
        /** A float64 reference: the distance is told. */
        REFERENCE("_f64"),
        /** A better one: it comes before the other. */
        EXACT("_exact"),
        /** What the framework computed that the case comes from: the distance is told. */
        NATIVE("_native");

        private final String suffix;

        Kind(String suffix) {
            this.suffix = suffix;
        }
    }

    private static final String AT = "_at";
    private static final String INDICES = "_idx";

    /** All of a case's, the better of two references only. */
    static List<Expectation> all(Case from) {
        List<Expectation> all = new ArrayList<>();
        for (Map.Entry<String, CaseTensor> entry : from.expected().entrySet()) {
            String name = entry.getKey();
            if (name.endsWith(INDICES)) {
                continue;
            }
            boolean some = name.endsWith(AT);
            String rest = some ? name.substring(0, name.length() - AT.length()) : name;
            Kind kind = Kind.TARGET;
            for (Kind candidate : Kind.values()) {
                kind = candidate != Kind.TARGET && rest.endsWith(candidate.suffix) ? candidate : kind;
            }
            String output = rest.substring(0, rest.length() - kind.suffix.length());
            boolean surpassed = kind == Kind.REFERENCE
                    && from.expected().containsKey(output + Kind.EXACT.suffix + (some ? AT : ""));
            CaseTensor indices = some ? from.expected().get(output + INDICES) : null;
            if (some && indices == null) {
                throw new IllegalArgumentException("expected " + name + " has no " + output + INDICES);
            }
            if (!surpassed) {
                all.add(new Expectation(name, output, kind, entry.getValue(), indices));
            }
        }
        return all;
    }

    /** Compares with what was computed. */
    CasesReport.Comparison compare(Case of, CaseTensor actual) {
        long count = values.elementCount();
        if (indices == null ? count != actual.elementCount() : indices.elementCount() != count) {
            return new CasesReport.Comparison(name, output, kind, count, count, Double.POSITIVE_INFINITY,
                    Double.POSITIVE_INFINITY, -1, CaseTensor.text(values.shape()), CaseTensor.text(actual.shape()));
        }
        double max = -1;
        double squares = 0;
        long worst = -1;
        long over = 0;
        for (long i = 0; i < count; i++) {
            long at = indices == null ? i : (long) indices.get(i);
            double expected = values.get(i);
            double got = at >= 0 && at < actual.elementCount() ? actual.get(at) : Double.NaN;
            double ulps = of.type().ulps(expected, got);
            squares += ulps * ulps;
            boolean met = meets(expected, got, of.rtol(), of.atol());
            if (kind == Kind.TARGET && !met) {
                over++;
            }
            if (!(ulps <= max)) {
                max = ulps;
                worst = at;
            }
        }
        int first = count == 0 ? -1 : indexOf(worst, count);
        return new CasesReport.Comparison(name, output, kind, count, over, Math.max(0, max),
                count == 0 ? 0 : Math.sqrt(squares / count), worst, first < 0 ? "" : Double.toString(values.get(first)),
                first < 0 || worst >= actual.elementCount() ? "" : Double.toString(actual.get(worst)));
    }

    private int indexOf(long place, long count) {
        for (int i = 0; i < count; i++) {
            if ((indices == null ? i : (long) indices.get(i)) == place) {
                return i;
            }
        }
        return -1;
    }

    /** NaN meets NaN, an infinity itself. */
    static boolean meets(double expected, double actual, double rtol, double atol) {
        return Double.isNaN(expected) && Double.isNaN(actual) || expected == actual
                || Double.isFinite(expected) && Math.abs(actual - expected) <= atol + rtol * Math.abs(expected);
    }
}
