package dev.isobit.harness.demo;

import dev.isobit.harness.Rng;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;

/**
 * The handwritten digits that travel with the demo: 8x8 grey levels 0-16 and a class 0-9.
 *
 * @param pixels one row of 64 grey levels per digit, row by row from the top left
 * @param classes the class of each digit
 */
record Digits(int[][] pixels, int[] classes) {
    static final int SIDE = 8;
    static final int PIXELS = SIDE * SIDE;
    static final int CLASSES = 10;
    static final int WHITE = 16;

    static Digits load() {
        var resource = Objects.requireNonNull(Digits.class.getResourceAsStream("digits.csv.gz"), "digits.csv.gz");
        try (var reader = new BufferedReader(
                new InputStreamReader(new GZIPInputStream(resource), StandardCharsets.US_ASCII))) {
            List<int[]> pixels = new ArrayList<>();
            List<Integer> classes = new ArrayList<>();
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                String[] columns = line.split(",", -1);
                if (columns.length != PIXELS + 1) {
                    throw new IllegalStateException("digits.csv.gz: line " + (pixels.size() + 1) + " has "
                            + columns.length + " columns, not " + (PIXELS + 1));
                }
                int[] row = new int[PIXELS];
                for (int i = 0; i < PIXELS; i++) {
                    row[i] = Integer.parseInt(columns[i]);
                }
                pixels.add(row);
                classes.add(Integer.parseInt(columns[PIXELS]));
            }
            return new Digits(pixels.toArray(new int[0][]),
                    classes.stream().mapToInt(Integer::intValue).toArray());
        } catch (IOException e) {
            throw new UncheckedIOException("digits.csv.gz cannot be read", e);
        }
    }

    int size() {
        return classes.length;
    }

    /**
     * Which digits train and which are held out.
     *
     * @param train indices of digits
     * @param heldOut indices of the others, a fifth of each class
     */
    record Split(int[] train, int[] heldOut) {}

    /** A seeded split that holds out a fifth of each class, rounded to nearest. */
    Split split(long seed) {
        var rng = new Rng(seed);
        List<Integer> train = new ArrayList<>();
        List<Integer> heldOut = new ArrayList<>();
        for (int c = 0; c < CLASSES; c++) {
            int[] members = membersOf(c);
            rng.shuffle(members);
            int held = Math.round(members.length / 5f);
            for (int i = 0; i < members.length; i++) {
                (i < held ? heldOut : train).add(members[i]);
            }
        }
        return new Split(train.stream().mapToInt(Integer::intValue).toArray(),
                heldOut.stream().mapToInt(Integer::intValue).toArray());
    }

    private int[] membersOf(int wanted) {
        List<Integer> members = new ArrayList<>();
        for (int i = 0; i < classes.length; i++) {
            if (classes[i] == wanted) {
                members.add(i);
            }
        }
        return members.stream().mapToInt(Integer::intValue).toArray();
    }
}
