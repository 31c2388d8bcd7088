package dev.isobit.harness.trajectories;

import dev.isobit.Backend;
import dev.isobit.harness.Html;
import dev.isobit.harness.trajectories.Trajectory.Point;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * Trajectories on the contours of their function, as an SVG that needs nothing else, in light and dark. It may stand in a
 * page: its style touches nothing but itself.
 */
public final class TrajectoryPicture {
    /** Pixels of a unit, the same along both axes. */
    private static final double UNIT = 110;
    private static final double MARGIN = 24;
    private static final double KEY_LINE = 24;
    private static final double TITLE = 52;
    /** Heights of the contours: each four times the one before, so that the axes double. */
    private static final double[] CONTOURS = {0.02, 0.08, 0.32, 1.28, 5.12, 20.48, 81.92};

    private static final String STYLE =
            """
                    .trajectories { color-scheme: light dark; --page: #ffffff; --ink: #1b1d21; --muted: #62666d; --rule: #d9d9d4;
                      --s0: #c2570c; --s1: #2a5fd0; --s2: #1b7f4b; --s3: #a1239c; }
                    @media (prefers-color-scheme: dark) {
                      .trajectories { --page: #14161a; --ink: #e8e8e6; --muted: #9a9fa8; --rule: #363b44;
                        --s0: #f2995a; --s1: #7aa5ff; --s2: #5ccf93; --s3: #ee82e6; }
                    }
                    .trajectories text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
                      fill: var(--ink); }
                    .trajectories .title { font-size: 18px; font-weight: 600; }
                    .trajectories .muted { fill: var(--muted); }
                    .trajectories .page { fill: var(--page); }
                    .trajectories .contour { fill: none; stroke: var(--rule); stroke-width: 1; }
                    .trajectories .way { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-opacity: 0.85; }
                    .trajectories .mark { fill: var(--page); stroke: var(--ink); stroke-width: 2; }
                    .trajectories .minimum { stroke: var(--ink); stroke-width: 2; }
                    """;

    private final StringBuilder svg = new StringBuilder();
    private final double left;
    private final double top;

    private TrajectoryPicture(double left, double top) {
        this.left = left;
        this.top = top;
    }

    /**
     * Runs SGD, momentum, Adam and AdamW and draws where they went.
     *
     * @param backend what their steps run on; stays open
     * @return an {@code svg} element
     */
    public static String of(Backend backend) {
        return of(Trajectory.all(backend));
    }

    static String of(List<Trajectory> trajectories) {
        double minX = least(trajectories, false) - 0.3;
        double maxX = -least(trajectories, true) + 0.3;
        double maxY = trajectories.stream().flatMap(t -> t.points().stream()).mapToDouble(p -> Math.abs(p.y())).max()
                .orElseThrow() + 0.2;
        double width = 2 * MARGIN + UNIT * (maxX - minX);
        double plot = UNIT * 2 * maxY;
        double height = TITLE + plot + MARGIN + KEY_LINE * trajectories.size();
        var picture = new TrajectoryPicture(MARGIN - UNIT * minX, TITLE + plot / 2);
        picture.line(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"trajectories\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">",
                width, height);
        picture.line("<title>Four optimizers on 0.5 (x\u00b2 + 24 y\u00b2), %d steps</title>", Trajectory.STEPS);
        picture.line("<style>%n%s</style>", STYLE);
        picture.line("<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>");
        picture.line("<text class=\"title\" x=\"%.0f\" y=\"30\">%d steps down 0.5 (x\u00b2 + 24 y\u00b2)</text>",
                MARGIN,
                Trajectory.STEPS);
        picture.line(
                "<clipPath id=\"trajectories-plot\"><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/></clipPath>",
                MARGIN, TITLE, width - 2 * MARGIN, plot);
        picture.line("<g clip-path=\"url(#trajectories-plot)\">");
        for (double c : CONTOURS) {
            picture.line("<ellipse class=\"contour\" cx=\"%.1f\" cy=\"%.1f\" rx=\"%.1f\" ry=\"%.1f\"/>", picture.x(0),
                    picture.y(0), UNIT * Math.sqrt(2 * c), UNIT * Math.sqrt(2 * c / Trajectory.STEEPNESS));
        }
        for (int i = 0; i < trajectories.size(); i++) {
            picture.way(i, trajectories.get(i).points());
        }
        picture.ends(Trajectory.START);
        picture.line("</g>");
        for (int i = 0; i < trajectories.size(); i++) {
            picture.key(i, trajectories.get(i), TITLE + plot + MARGIN / 2 + KEY_LINE * (i + 0.5));
        }
        picture.line("</svg>");
        return picture.svg.toString();
    }

    private static double least(List<Trajectory> trajectories, boolean mirrored) {
        return trajectories.stream().flatMap(t -> t.points().stream()).mapToDouble(p -> mirrored ? -p.x() : p.x())
                .min().orElseThrow();
    }

    private void line(String format, Object... arguments) {
        svg.append(String.format(Locale.ROOT, format, arguments)).append('\n');
    }

    private double x(double x) {
        return left + UNIT * x;
    }

    private double y(double y) {
        return top - UNIT * y;
    }

    private void way(int series, List<Point> points) {
        line("<polyline class=\"way\" stroke=\"var(--s%d)\" points=\"%s\"/>", series, points.stream()
                .map(p -> String.format(Locale.ROOT, "%.2f,%.2f", x(p.x()), y(p.y())))
                .collect(Collectors.joining(" ")));
        for (Point p : points) {
            line("<circle cx=\"%.2f\" cy=\"%.2f\" r=\"2.4\" fill=\"var(--s%d)\"/>", x(p.x()), y(p.y()), series);
        }
    }

    /** Where all start, and where all should end. */
    private void ends(Point start) {
        line("<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"6\"/>", x(start.x()), y(start.y()));
        line("<text x=\"%.1f\" y=\"%.1f\">start</text>", x(start.x()) + 12, y(start.y()) + 5);
        for (int d = -1; d <= 1; d += 2) {
            line("<line class=\"minimum\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x(0) - 6, y(0) - 6 * d,
                    x(0) + 6, y(0) + 6 * d);
        }
    }

    private void key(int series, Trajectory trajectory, double at) {
        line("<line stroke=\"var(--s%d)\" stroke-width=\"4\" x1=\"%.0f\" y1=\"%.0f\" x2=\"%.0f\" y2=\"%.0f\"/>", series,
                MARGIN, at, MARGIN + 26, at);
        line("<text x=\"%.0f\" y=\"%.0f\">%s</text>", MARGIN + 36, at + 5, Html.escape(trajectory.name()));
        line("<text class=\"muted\" x=\"%.0f\" y=\"%.0f\">%s</text>", MARGIN + 130, at + 5,
                Html.escape(trajectory.settings()));
        line("<text class=\"muted\" x=\"%.0f\" y=\"%.0f\">ends at %.1e</text>", MARGIN + 330, at + 5,
                trajectory.points().getLast().height());
    }
}
