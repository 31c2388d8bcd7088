package dev.isobit.harness.verify;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A digest of every output that a subject wrote, problem by problem: what a child JVM hands to its parent. Used by one
 * thread.
 */
final class Tape {
    private final String name;
    private final String description;
    private final long[][] digests;
    private final int[][] lengths;
    private final List<String> faults = new ArrayList<>();

    Tape(String name, String description, int problems) {
        this.name = name;
        this.description = description;
        digests = new long[problems][0];
        lengths = new int[problems][0];
    }

    String name() {
        return name;
    }

    String description() {
        return description;
    }

    void put(int problem, Results results) {
        digests[problem] = results.digests();
        lengths[problem] = results.bits().values().stream().mapToInt(bits -> bits.length).toArray();
    }

    /** One per output, in the order of {@link Output}; none where the problem was not run. */
    long[] digests(int problem) {
        return digests[problem];
    }

    /** Elements of each output. */
    int[] lengths(int problem) {
        return lengths[problem];
    }

    List<String> faults() {
        return faults;
    }

    void write(Path file) {
        try (var out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
            out.writeUTF(name);
            out.writeUTF(description);
            out.writeInt(digests.length);
            for (int i = 0; i < digests.length; i++) {
                out.writeInt(digests[i].length);
                for (int output = 0; output < digests[i].length; output++) {
                    out.writeLong(digests[i][output]);
                    out.writeInt(lengths[i][output]);
                }
            }
            out.writeInt(faults.size());
            for (String fault : faults) {
                out.writeUTF(fault);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + file, e);
        }
    }

    static Tape read(Path file) {
        try (var in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            var tape = new Tape(in.readUTF(), in.readUTF(), in.readInt());
            for (int i = 0; i < tape.digests.length; i++) {
                int outputs = in.readInt();
                tape.digests[i] = new long[outputs];
                tape.lengths[i] = new int[outputs];
                for (int output = 0; output < outputs; output++) {
                    tape.digests[i][output] = in.readLong();
                    tape.lengths[i][output] = in.readInt();
                }
            }
            int faults = in.readInt();
            for (int i = 0; i < faults; i++) {
                tape.faults.add(in.readUTF());
            }
            return tape;
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }

    /** Writes all bits of one problem. */
    static void writeResults(Path file, Results results) {
        try (var out = new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
            out.writeInt(results.bits().size());
            for (var entry : results.bits().entrySet()) {
                out.writeUTF(entry.getKey().name());
                out.writeInt(entry.getValue().length);
                for (int bits : entry.getValue()) {
                    out.writeInt(bits);
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + file, e);
        }
    }

    static Results readResults(Path file) {
        try (var in = new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
            var results = new Results();
            int outputs = in.readInt();
            for (int i = 0; i < outputs; i++) {
                Output output = Output.valueOf(in.readUTF());
                int[] bits = new int[in.readInt()];
                for (int k = 0; k < bits.length; k++) {
                    bits[k] = in.readInt();
                }
                results.put(output, bits);
            }
            return results;
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file, e);
        }
    }
}
