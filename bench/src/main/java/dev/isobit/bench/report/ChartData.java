package dev.isobit.bench.report;

import dev.isobit.DType;
import dev.isobit.bench.BenchCase;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import dev.isobit.bench.BenchReport.Transfer;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What {@code report.js} draws.
 *
 * @param runners names that have a colour, in its order
 * @param ours those that are backends of Isobit
 * @param operations in their order
 */
record ChartData(List<String> runners, List<String> ours, List<String> operations, List<Row> rows, List<PeerRow> peers,
        List<Crossover> crossover, List<AccuracyRow> accuracy) {
    /** Sizes at which only the number of classes changes. */
    private static final Set<Long> SWEEPS = Set.of(1L << 21, 1L << 23, 1L << 25);

    /**
     * One side of a case.
     *
     * @param label shape and threads
     * @param us of a run: median; low, high: interval
     * @param sweep {@code classes} or {@code parameters}, empty if it is no part of one
     * @param size how many classes or parameters
     * @param place lines join what was measured in one place
     * @param device whether it ran on a device
     */
    record Row(String operation, String label, String runner, long bytes, double us, double low, double high,
            double gbs,
            double ges, String sweep, long size, int place, boolean device) {}

    /** Speed by that of a peer. */
    record PeerRow(String label, String runner, double times, double low, double high) {}

    /** Time of the host by that of the device. */
    record Crossover(String operation, String label, long elements, String way, double times) {}

    /** An error, in words where it is no number. */
    record AccuracyRow(String label, String runner, String maxUlp, String rmsUlp) {}

    static ChartData of(Runs runs) {
        Set<String> runners = new LinkedHashSet<>();
        runs.rows().forEach(row -> runners.add(runner(row.found(), row.found().own())));
        runs.rows().forEach(row -> row.found().sides().stream().filter(side -> side.runner().equals("C"))
                .forEach(side -> runners.add(runner(row.found(), side))));
        runners.addAll(runs.peers());
        runs.accuracy().stream().map(Accuracy::runner).filter(name -> !Runs.isOurs(name) || name.equals("cuda"))
                .forEach(runners::add);
        if (runs.accuracy().stream().anyMatch(each -> each.runner().equals("cpu"))) {
            runners.add("cpu");
        }
        List<Row> rows = new ArrayList<>();
        for (Runs.Row row : runs.rows()) {
            for (SideResult side : row.found().sides()) {
                rows.add(row(row, side));
            }
        }
        return new ChartData(List.copyOf(runners), runners.stream().filter(Runs::isOurs).toList(),
                BenchCase.OPERATIONS, rows, peers(runs), crossover(runs),
                runs.accuracy().stream().filter(each -> runners.contains(each.runner()))
                        .map(each -> new AccuracyRow(operation(each) + ", " + each.inputs() + ", " + each.output(),
                                each.runner(), Summary.error(each.maxUlp()).equals("no number")
                                        ? "no number"
                                        : String.valueOf(each.maxUlp()),
                                String.valueOf(each.rmsUlp())))
                        .toList());
    }

    /** With the type of logits or parameters, unless it is F32. */
    static String operation(Accuracy each) {
        return each.operation() + (each.dtype().equals("F32") ? "" : " " + each.dtype());
    }

    private static String runner(Measurement found, SideResult side) {
        if (side != found.own() && !side.runner().equals("C")) {
            return side.runner();
        }
        return side.runner() + (found.what().dtype() == DType.F32 ? "" : ", " + found.what().dtype())
                + (side == found.own() && found.clock().startsWith("events")
                        ? found.clock().substring("events".length())
                        : "");
    }

    private static Row row(Runs.Row row, SideResult side) {
        Measurement found = row.found();
        var micros = side.microseconds();
        return new Row(found.what().operation(), label(found.what()), runner(found, side), side.bytes(),
                micros.median(),
                micros.low(), micros.high(), side.gigaBytes(), side.gigaElements(), sweep(found),
                found.what().shape().getLast(), row.run(), row.onDevice());
    }

    private static String label(BenchCase what) {
        return what.shapeText() + (what.dtype().name().equals("F32") ? "" : " " + what.dtype())
                + (what.threads() == 0 ? "" : what.threads() == 1 ? ", 1 thread" : ", " + what.threads() + " threads");
    }

    /** Which series a measurement is a part of: all threads, or a device whose cache is warm. */
    static String sweep(Measurement found) {
        BenchCase what = found.what();
        if (what.threads() == 1 || found.clock().endsWith("cold cache")) {
            return "";
        }
        return switch (what.operation()) {
            case "cross-entropy" -> SWEEPS.stream()
                    .anyMatch(logits -> Math.max(1, logits / what.shape().get(1)) == what.shape().get(0))
                            ? "classes"
                            : "";
            case "bce" -> "";
            default -> what.shape().get(0) == 1 ? "parameters" : "";
        };
    }

    static List<PeerRow> peers(Runs runs) {
        return runs.beside().stream().map(each -> new PeerRow(name(each), each.other().runner(),
                each.times().median(), each.times().low(), each.times().high())).toList();
    }

    /** The case of a comparison. */
    static String name(Runs.Beside each) {
        Measurement found = each.row().found();
        return found.what().operation() + " " + label(found.what())
                + (found.clock().startsWith("events") ? found.clock().substring("events".length()) : "");
    }

    /** Host by device, where both were measured: the host with the most threads, the device with a warm cache. */
    static List<Crossover> crossover(Runs runs) {
        List<Crossover> found = new ArrayList<>();
        for (Runs.Row row : runs.rows()) {
            Measurement device = row.found();
            if (!device.clock().endsWith("warm cache") || !Runs.isOurs(device.backend())) {
                continue;
            }
            List<Transfer> transfers = runs.reports().get(row.run()).transfers();
            double to = gigaBytes(transfers, "host to device");
            double from = gigaBytes(transfers, "device to host");
            runs.rows().stream().filter(Runs.Row::onHost).map(Runs.Row::found)
                    .filter(host -> Runs.isOurs(host.backend())
                            && host.what().operation().equals(device.what().operation())
                            && host.what().shape().equals(device.what().shape())
                            && host.what().dtype() == device.what().dtype())
                    .reduce((a, b) -> a.what().threads() > b.what().threads() ? a : b).ifPresent(host -> {
                        double hostMicros = host.own().microseconds().median();
                        double deviceMicros = device.own().microseconds().median();
                        found.add(point(device, "device alone", hostMicros / deviceMicros));
                        if (to > 0 && from > 0) {
                            double carried = carried(device, true) / to * 1e-3 + carried(device, false) / from * 1e-3;
                            found.add(point(device, "with transfer", hostMicros / (deviceMicros + carried)));
                        }
                    });
        }
        return found;
    }

    private static Crossover point(Measurement device, String way, double times) {
        return new Crossover(device.what().operation(), device.what().shapeText(), device.elements(), way, times);
    }

    /** Bytes there: logits and targets, or gradients. Back: gradients, or parameters. */
    private static double carried(Measurement device, boolean there) {
        double logits = (double) device.elements() * device.what().dtype().byteSize();
        return there && device.what().operation().equals("bce") ? 2 * logits : logits;
    }

    private static double gigaBytes(List<Transfer> transfers, String direction) {
        return transfers.stream().filter(each -> each.direction().equals(direction) && each.memory().equals("pinned"))
                .mapToDouble(each -> each.gigaBytes().median()).findFirst().orElse(0);
    }
}
