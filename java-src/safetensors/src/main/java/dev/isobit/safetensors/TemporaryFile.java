package dev.isobit.safetensors;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/**
 * A file that is written beside its place and then takes it. It is deleted if it never does: on {@link #close}, when the
 * JVM is ended from outside, and, after a kill, by the next writer of the same file. A writer holds a lock on its file, which
 * ends with the process: so the next one knows which have no owner. Used by one thread.
 */
final class TemporaryFile implements AutoCloseable {
    private static final String SUFFIX = ".part";

    /** Files of this JVM. Looking at their locks would release them. */
    private static final Set<Path> OWN = new HashSet<>();
    private static boolean ending;

    static {
        Runtime.getRuntime().addShutdownHook(new Thread(TemporaryFile::deleteAll, "isobit-safetensors"));
    }

    private final Path target;
    private final Path path;
    private final FileChannel channel;

    private TemporaryFile(Path target, Path path, FileChannel channel) {
        this.target = target;
        this.path = path;
        this.channel = channel;
    }

    static TemporaryFile beside(Path file) throws IOException {
        Path absolute = file.toAbsolutePath();
        // One name for one folder, however it is reached: OWN goes by it.
        Path target = absolute.getParent().toRealPath().resolve(absolute.getFileName());
        String prefix = "." + target.getFileName() + ".";
        synchronized (OWN) {
            if (ending) {
                throw new IOException("the JVM is ending");
            }
            deleteOrphans(target, prefix);
            while (true) {
                Path path = target.resolveSibling(
                        prefix + Long.toHexString(ThreadLocalRandom.current().nextLong()) + SUFFIX);
                FileChannel channel =
                        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
                OWN.add(path);
                var temporary = new TemporaryFile(target, path, channel);
                try {
                    // Before it was locked somebody may have taken it for an orphan, and be about to delete it or have
                    // done so: then another name.
                    if (channel.tryLock() != null && Files.exists(path)) {
                        return temporary;
                    }
                } catch (IOException e) {
                    return temporary; // a file system without locks, where nobody deletes orphans
                }
                temporary.close();
            }
        }
    }

    private static void deleteOrphans(Path target, String prefix) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(target.getParent(), file -> {
            String name = file.getFileName().toString();
            return name.startsWith(prefix) && name.endsWith(SUFFIX) && !OWN.contains(file);
        })) {
            for (Path file : files) {
                try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                    if (channel.tryLock() != null) {
                        Files.deleteIfExists(file);
                    }
                } catch (IOException | OverlappingFileLockException e) {
                    // Its writer is done with it, or of another class loader, or it is not ours to delete.
                }
            }
        }
    }

    FileChannel channel() {
        return channel;
    }

    /** Forces the content to the disk, then renames, then forces the folder: in this order nothing half can be seen. */
    void moveIntoPlace() throws IOException {
        channel.force(true);
        Files.move(path, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        if (!System.getProperty("os.name").startsWith("Windows")) { // which opens no folders
            try (FileChannel folder = FileChannel.open(target.getParent(), StandardOpenOption.READ)) {
                folder.force(true);
            }
        }
    }

    @Override
    public void close() throws IOException {
        try {
            channel.close();
        } finally {
            synchronized (OWN) {
                Files.deleteIfExists(path);
                OWN.remove(path);
            }
        }
    }

    private static void deleteAll() {
        synchronized (OWN) {
            ending = true;
            for (Path path : OWN) {
                try {
                    Files.deleteIfExists(path);
                } catch (IOException e) {
                    // It stays; there is nobody to tell while the JVM ends.
                }
            }
        }
    }
}
