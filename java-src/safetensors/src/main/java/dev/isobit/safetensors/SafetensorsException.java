package dev.isobit.safetensors;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A file is not what it should be. The message names the file, the tensor where it is one tensor's fault, and the value
 * that is wrong. What the system refuses, such as a file that is not there, is an {@link java.io.UncheckedIOException}.
 */
public class SafetensorsException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final transient Path file;
    /** The name of the tensor concerned, null if it is none. */
    private final @Nullable String tensor;

    /**
     * Makes an exception.
     *
     * @param file the file
     * @param tensor the name of the tensor concerned, null if it is none
     * @param wrong what is wrong, with the value
     */
    public SafetensorsException(Path file, @Nullable String tensor, String wrong) {
        super(file + ": " + (tensor == null ? "" : "tensor " + Shown.text(tensor) + ": ") + wrong);
        this.file = file;
        this.tensor = tensor;
    }

    /**
     * The file.
     *
     * @return its path as it was given; null after serialization
     */
    public Path file() {
        return file;
    }

    /**
     * The tensor.
     *
     * @return the name of the tensor concerned, null if it is none
     */
    public @Nullable String tensor() {
        return tensor;
    }
}
