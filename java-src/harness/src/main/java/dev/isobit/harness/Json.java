package dev.isobit.harness;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Records as JSON and back. Numbers that JSON does not have are the strings "NaN", "Infinity", "-Infinity". */
public final class Json {
    private static final ObjectMapper MAPPER = JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT)
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES).build();
    private static final ObjectMapper LENIENT =
            JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();

    private Json() {}

    /**
     * Writes.
     *
     * @param value a record
     * @return JSON text with a line end
     */
    public static String write(Object value) {
        try {
            return MAPPER.writeValueAsString(value) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("not to be written as JSON: " + value.getClass(), e);
        }
    }

    /**
     * Reads what may have been written by another version: a field that the record does not know is passed over, one that
     * is missing is null, 0 or false.
     *
     * @param tree the JSON
     * @param type the record's class
     * @param <T> the record's type
     * @return the record
     * @throws IllegalArgumentException if a field has a value of another kind
     */
    public static <T> T lenient(JsonNode tree, Class<T> type) {
        return LENIENT.convertValue(tree, type);
    }

    /**
     * Reads without knowing what it is.
     *
     * @param file a file
     * @return the JSON
     */
    public static JsonNode tree(Path file) {
        try {
            return MAPPER.readTree(Files.readString(file));
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file + " as JSON: " + e.getMessage(), e);
        }
    }

    /**
     * Reads.
     *
     * @param file a file
     * @param type the record's class
     * @param <T> the record's type
     * @return the record
     */
    public static <T> T read(Path file, Class<T> type) {
        try {
            return MAPPER.readValue(Files.readString(file), type);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file + " as " + type.getSimpleName(), e);
        }
    }
}
