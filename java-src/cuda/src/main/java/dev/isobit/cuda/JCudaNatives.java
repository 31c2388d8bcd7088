package dev.isobit.cuda;

import dev.isobit.IsobitException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * Loads JCuda's native library from a place that nobody else can write to.
 *
 * <p>JCuda itself extracts it to a fixed name in the shared temp folder and loads whatever lies there already, so that
 * another user can plant a library. Here it is checked against the hash of the release that Isobit was built with,
 * written to a fresh folder that only this user can enter, loaded from there and removed at once: a loaded library
 * needs no file. JCuda looks in {@code java.io.tmpdir}, which therefore points to that folder while its driver class
 * initialises and at no other time.
 */
final class JCudaNatives {
    static final String LIBRARY = "libJCudaDriver-12.6.0-linux-x86_64.so";
    static final String RESOURCE = "/lib/" + LIBRARY;
    static final String DRIVER_CLASS = "jcuda.driver.JCudaDriver";

    /** Of {@link #LIBRARY} in jcuda-natives 12.6.0 for linux-x86_64. */
    static final String SHA256 = "fdc3b4b4fca4f0fab54ff12c0b4d6ad1c5e8d55015b4950834c705e5db301255";

    private static boolean loaded;

    private JCudaNatives() {}

    /** What is missing to load JCuda, or null. Loads nothing. */
    static @Nullable String missing() {
        if (JCudaNatives.class.getResource("/" + DRIVER_CLASS.replace('.', '/') + ".class") == null) {
            return "JCuda is not on the class path: add org.jcuda:jcuda:12.6.0";
        }
        if (JCudaNatives.class.getResource(RESOURCE) == null) {
            return "JCuda's native library is not on the class path: add org.jcuda:jcuda-natives:12.6.0 with the"
                    + " classifier linux-x86_64";
        }
        return null;
    }

    /**
     * Loads the library and initialises {@code JCudaDriver}. The driver's own library has to be loaded before.
     *
     * @throws IsobitException if the library is not there, not the one expected, or cannot be loaded
     */
    static synchronized void load() {
        if (loaded) {
            return;
        }
        String missing = missing();
        if (missing != null) {
            throw new IsobitException(missing);
        }
        refusePlanted(System.getProperty("java.library.path", ""));
        try {
            initialise(extract(readChecked()));
        } catch (IOException e) {
            throw new IsobitException("JCuda's native library could not be extracted: " + e, e);
        }
        loaded = true;
    }

    /** The library's bytes from the class path, if they are those expected. */
    private static byte[] readChecked() throws IOException {
        byte[] bytes;
        try (InputStream in = JCudaNatives.class.getResourceAsStream(RESOURCE)) {
            bytes = in == null ? new byte[0] : in.readAllBytes();
        }
        check(bytes, "in the class path's " + RESOURCE);
        return bytes;
    }

    static void check(byte[] bytes, String where) {
        String found;
        try {
            found = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
        if (!found.equals(SHA256)) {
            throw new IsobitException("JCuda's native library " + where + " is not that of release 12.6.0: its SHA-256"
                    + " is " + found + ", not " + SHA256);
        }
    }

    /** JCuda asks the library path before the temp folder: what lies there under that name has to be the same. */
    static void refusePlanted(String libraryPath) {
        for (String folder : libraryPath.split(File.pathSeparator)) {
            Path file = Path.of(folder.isEmpty() ? "." : folder, LIBRARY);
            if (Files.exists(file)) {
                try {
                    check(Files.readAllBytes(file), "at " + file + ", found through java.library.path,");
                } catch (IOException e) {
                    throw new IsobitException(file + ", found through java.library.path, cannot be read: " + e, e);
                }
            }
        }
    }

    private static Path extract(byte[] bytes) throws IOException {
        Path folder = Files.createTempDirectory("isobit-",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Path file = folder.resolve(LIBRARY);
        try {
            Files.write(file, bytes, StandardOpenOption.CREATE_NEW);
        } catch (IOException e) {
            remove(folder, file);
            throw e;
        }
        return folder;
    }

    private static void initialise(Path folder) {
        String property = "java.io.tmpdir";
        String before = System.getProperty(property);
        System.setProperty(property, folder.toString());
        try {
            Class.forName(DRIVER_CLASS, true, JCudaNatives.class.getClassLoader());
        } catch (ClassNotFoundException | LinkageError e) {
            Throwable reason = e instanceof ExceptionInInitializerError && e.getCause() != null ? e.getCause() : e;
            throw new IsobitException("JCuda could not be loaded: " + firstLines(reason), e);
        } finally {
            System.setProperty(property, before);
            remove(folder, folder.resolve(LIBRARY));
        }
    }

    /** JCuda's message carries two stack traces; the reasons stand in the lines with the word Error. */
    private static String firstLines(Throwable e) {
        return String.valueOf(e.getMessage()).lines().filter(line -> line.contains("Error") && !line.startsWith("\tat"))
                .map(String::strip).limit(4).reduce((a, b) -> a + "; " + b).orElse(e.toString());
    }

    private static void remove(Path folder, Path file) {
        try {
            Files.deleteIfExists(file);
            Files.deleteIfExists(folder);
        } catch (IOException e) {
            // Once more when the JVM ends: folder first, since these go in reverse order.
            folder.toFile().deleteOnExit();
            file.toFile().deleteOnExit();
        }
    }
}
