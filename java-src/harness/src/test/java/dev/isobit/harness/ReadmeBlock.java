package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A part of README.md that is generated: it stands between two comments with its name. */
public final class ReadmeBlock {
    private ReadmeBlock() {}

    /**
     * Compares the part with what it has to be, or, with {@code -Disobit.readme.write=true}, writes it.
     *
     * @param name the part's name
     * @param expected its text
     */
    public static void check(String name, String expected) throws IOException {
        Path file = Path.of(System.getProperty("isobit.home"), "README.md");
        String readme = Files.readString(file);
        String opening = "<!-- " + name + ": begin -->\n";
        int begin = readme.indexOf(opening) + opening.length();
        int end = readme.indexOf("<!-- " + name + ": end -->\n");
        assertTrue(begin >= opening.length() && end >= begin, "README.md has lost the markers of its " + name);
        if (Boolean.getBoolean("isobit.readme.write")) {
            Files.writeString(file, readme.substring(0, begin) + expected + readme.substring(end));
        } else {
            assertEquals(expected, readme.substring(begin, end), "README.md's " + name
                    + " has drifted; the test that says this writes it anew with -Disobit.readme.write=true");
        }
    }
}
