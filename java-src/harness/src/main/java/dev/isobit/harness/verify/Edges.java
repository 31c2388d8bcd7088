package dev.isobit.harness.verify;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What was found at the written edges of one subject. */
final class Edges {
    private final String subject;
    private final List<VerifyReport.Edge> all = new ArrayList<>();

    Edges(String subject) {
        this.subject = subject;
    }

    List<VerifyReport.Edge> all() {
        return all;
    }

    void compare(String check, String output, int[] actual, int[] expected) {
        add(check, Arrays.equals(actual, expected), output + " is " + hex(actual) + ", not " + hex(expected));
    }

    void add(String check, boolean kept, String detail) {
        all.add(new VerifyReport.Edge(subject, check, kept, kept ? "" : detail));
    }

    static String hex(int[] bits) {
        return Arrays.toString(Arrays.stream(bits).mapToObj(b -> "0x" + Integer.toHexString(b)).toArray());
    }
}
