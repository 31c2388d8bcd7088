package dev.isobit.harness;

import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.DoubleFunction;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A line chart as inline SVG for a page with {@code page.css} and {@code page.js}: one x axis of evenly spaced points,
 * one y axis, series with an optional band around them. Used by one thread.
 */
public final class LineChart {
    private static final int WIDTH = 460;
    private static final int HEIGHT = 260;
    private static final int LEFT = 44;
    private static final int RIGHT = WIDTH - 14;
    private static final int TOP = 10;
    private static final int BOTTOM = HEIGHT - 34;

    /** How values become heights. */
    public enum Scale {
        /** Evenly. */
        LINEAR(v -> v),
        /** By powers of ten; for values above 0. */
        LOG(Math::log10),
        /** By powers of ten of 1 + value; for values from 0. */
        LOG_FROM_ZERO(Math::log1p);

        private final DoubleUnaryOperator position;

        Scale(DoubleUnaryOperator position) {
            this.position = position;
        }
    }

    private record Series(String name, String color, double[] values, double @Nullable [] low,
            double @Nullable [] high) {}

    private final String title;
    private final String xName;
    private final int perPoint;
    private final Scale scale;
    private final DoubleFunction<String> format;
    private final List<Series> series = new ArrayList<>();

    /**
     * An empty chart.
     *
     * @param title what the y axis shows
     * @param xName what a point is, such as "epoch"; they are numbered from 1
     * @param perPoint how many of those a point stands for
     * @param scale of the y axis
     * @param format of a value
     */
    public LineChart(String title, String xName, int perPoint, Scale scale, DoubleFunction<String> format) {
        this.title = title;
        this.xName = xName;
        this.perPoint = perPoint;
        this.scale = scale;
        this.format = format;
    }

    /**
     * Adds a line.
     *
     * @param name for the key
     * @param values one per point, all finite
     * @return this
     */
    public LineChart line(String name, double[] values) {
        series.add(new Series(name, color(), values, null, null));
        return this;
    }

    /**
     * Adds the mean of several lines, in the band from their least to their greatest.
     *
     * @param name for the key
     * @param lines one or more, of one length
     * @return this
     */
    public LineChart meanAndRange(String name, List<double[]> lines) {
        int points = lines.getFirst().length;
        double[] mean = new double[points];
        double[] low = new double[points];
        double[] high = new double[points];
        for (int i = 0; i < points; i++) {
            int point = i;
            var summary = lines.stream().mapToDouble(line -> line[point]).summaryStatistics();
            mean[i] = summary.getAverage();
            low[i] = summary.getMin();
            high[i] = summary.getMax();
        }
        series.add(new Series(name, color(), mean, low, high));
        return this;
    }

    /**
     * Adds the mean of each {@code perPoint} neighbours, in the band from their least to their greatest.
     *
     * @param name for the key
     * @param values any number
     * @return this
     */
    public LineChart binned(String name, double[] values) {
        int points = Math.ceilDiv(values.length, perPoint);
        double[] mean = new double[points];
        double[] low = new double[points];
        double[] high = new double[points];
        for (int i = 0; i < points; i++) {
            var summary = Arrays.stream(values, i * perPoint, Math.min(values.length, (i + 1) * perPoint))
                    .summaryStatistics();
            mean[i] = summary.getAverage();
            low[i] = summary.getMin();
            high[i] = summary.getMax();
        }
        series.add(new Series(name, color(), mean, low, high));
        return this;
    }

    private String color() {
        return "var(--series-" + (series.size() + 1) + ")";
    }

    /**
     * The chart.
     *
     * @return a figure element
     */
    public String html() {
        int points = series.getFirst().values.length;
        List<Double> ticks = ticks();
        double bottom = scale.position.applyAsDouble(ticks.getFirst());
        double top = scale.position.applyAsDouble(ticks.getLast());
        DoubleUnaryOperator y =
                v -> BOTTOM - (scale.position.applyAsDouble(v) - bottom) / (top - bottom) * (BOTTOM - TOP);
        var svg = new StringBuilder();
        for (double tick : ticks) {
            double at = y.applyAsDouble(tick);
            svg.append(text("<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                    + "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT, RIGHT, at, at, LEFT - 8, at + 4,
                    Html.escape(axis(tick))));
        }
        for (int tick : pointTicks(points * perPoint)) {
            svg.append(text("<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%,d</text>",
                    x((tick - 1) / perPoint, points), BOTTOM + 16, tick));
        }
        svg.append(text("<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>", LEFT, RIGHT, BOTTOM, BOTTOM));
        svg.append(text("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>", (LEFT + RIGHT) / 2, HEIGHT - 4,
                Html.escape(xName)));
        for (Series s : series) {
            double[] low = s.low;
            double[] high = s.high;
            if (low != null && high != null) {
                String band = IntStream.range(0, points).mapToObj(i -> at(i, points, y.applyAsDouble(high[i])))
                        .collect(Collectors.joining(" ")) + " "
                        + IntStream.range(0, points).map(i -> points - 1 - i)
                                .mapToObj(i -> at(i, points, y.applyAsDouble(low[i]))).collect(Collectors.joining(" "));
                svg.append(text("<polygon class=\"band\" style=\"fill:%s\" points=\"%s\"/>", s.color, band));
            }
            String line = IntStream.range(0, points).mapToObj(i -> at(i, points, y.applyAsDouble(s.values[i])))
                    .collect(Collectors.joining(" "));
            svg.append(points == 1
                    ? text("<circle r=\"4\" style=\"fill:%s\" cx=\"%.1f\" cy=\"%.1f\"/>", s.color, x(0, 1),
                            y.applyAsDouble(s.values[0]))
                    : text("<polyline class=\"line\" style=\"stroke:%s\" points=\"%s\"/>", s.color, line));
        }
        svg.append(text("<line class=\"cross\" y1=\"%d\" y2=\"%d\"/>", TOP, BOTTOM));
        String key = series.size() == 1 && series.getFirst().low == null
                ? ""
                : series.stream().map(s -> "<span class=\"key\"><i style=\"background:" + s.color + "\"></i>"
                        + Html.escape(s.name) + "</span>").collect(Collectors.joining());
        return "<figure data-chart=\"" + Html.escape(Json.write(data(points)).strip()) + "\"><figcaption><span>"
                + Html.escape(title) + "</span>" + key + "</figcaption>"
                + text("<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s by %s\">", WIDTH, HEIGHT,
                        Html.escape(title), Html.escape(xName))
                + svg + "</svg><div class=\"tip\"></div></figure>\n";
    }

    private record Data(int width, int left, int right, List<String> labels, List<Values> series) {
        private record Values(String name, List<String> values) {}
    }

    private Data data(int points) {
        return new Data(WIDTH, LEFT, RIGHT,
                IntStream.range(0, points).mapToObj(this::label).toList(),
                series.stream()
                        .map(s -> new Data.Values(s.name,
                                IntStream.range(0, points).mapToObj(i -> value(s, i)).toList()))
                        .toList());
    }

    private String value(Series s, int point) {
        String range = s.low == null || s.high == null
                ? ""
                : " (" + format.apply(s.low[point]) + " to " + format.apply(s.high[point]) + ")";
        return format.apply(s.values[point]) + range;
    }

    private String label(int point) {
        int first = point * perPoint + 1;
        return xName + " " + first + (perPoint == 1 ? "" : " to " + (first + perPoint - 1));
    }

    private static double x(int point, int points) {
        return points == 1 ? LEFT : LEFT + (RIGHT - LEFT) * (double) point / (points - 1);
    }

    private static String at(int point, int points, double y) {
        return text("%.1f,%.1f", x(point, points), y);
    }

    /** As few digits as there are: 0.001, 98, 1,000, 1e6. */
    private static String axis(double tick) {
        return tick >= 1e5
                ? text("%.0e", tick).replaceFirst("e\\+0*", "e")
                : new DecimalFormat("#,##0.########", DecimalFormatSymbols.getInstance(Locale.ROOT)).format(tick);
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }

    /** From at or below the least value to at or above the greatest. */
    private List<Double> ticks() {
        double least = Double.POSITIVE_INFINITY;
        double greatest = Double.NEGATIVE_INFINITY;
        for (Series s : series) {
            for (double[] values : new double[][] {s.values, s.low, s.high}) {
                for (double value : values == null ? new double[0] : values) {
                    least = Math.min(least, value);
                    greatest = Math.max(greatest, value);
                }
            }
        }
        return scale == Scale.LINEAR ? linearTicks(least, greatest) : powers(least, greatest);
    }

    private static List<Double> linearTicks(double least, double greatest) {
        double range = greatest > least ? greatest - least : Math.max(Math.abs(least), 1);
        double step = Math.pow(10, Math.floor(Math.log10(range / 4)));
        for (double factor : new double[] {1, 2, 5, 10}) {
            if (range / (step * factor) <= 5) {
                step *= factor;
                break;
            }
        }
        long first = (long) Math.floor(least / step);
        long last = Math.max(first + 1, (long) Math.ceil(greatest / step));
        List<Double> ticks = new ArrayList<>();
        for (long i = first; i <= last; i++) {
            ticks.add(i * step);
        }
        return ticks;
    }

    private List<Double> powers(double least, double greatest) {
        List<Double> ticks = new ArrayList<>();
        boolean fromZero = scale == Scale.LOG_FROM_ZERO;
        int first = fromZero ? 0 : (int) Math.floor(Math.log10(least));
        int last = Math.max(first + 1, (int) Math.ceil(Math.log10(Math.max(greatest, fromZero ? 1 : least))));
        int every = Math.ceilDiv(last - first, 6);
        if (fromZero) {
            ticks.add(0.0);
        }
        for (int power = first; power < last + every; power += every) {
            ticks.add(Math.pow(10, power));
        }
        return ticks;
    }

    private static List<Integer> pointTicks(int points) {
        if (points == 1) {
            return List.of(1);
        }
        int step = (int) (double) linearTicks(0, points).get(1);
        List<Integer> ticks = new ArrayList<>(List.of(1));
        for (int point = Math.max(step, 2); point <= points; point += Math.max(step, 1)) {
            ticks.add(point);
        }
        return ticks;
    }
}
