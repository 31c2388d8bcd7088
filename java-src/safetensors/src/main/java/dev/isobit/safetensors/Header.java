package dev.isobit.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The header of a file, read as it streams by: what is kept of it is never larger than the header itself, which is a
 * part of the file. Every number is checked before it is used. Used by one thread.
 */
final class Header {
    /** The most bytes of a header, as in the format's own reader. */
    static final long LIMIT = 100_000_000;

    /** The root, a tensor, its arrays. */
    private static final int DEPTH = 3;

    /** As many as PyTorch and NumPy take. */
    private static final int MOST_AXES = 64;

    /** Names come from outside: they are not kept for other files. */
    private static final JsonFactory JSON = JsonFactory.builder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(DEPTH).build()).build();

    /** Where a tensor lies: from {@code begin} to {@code end} in the bytes after the header. */
    record Entry(String name, StoredType dtype, long[] shape, long begin, long end) {}

    private final Path file;
    private final long dataSize;
    private final Map<String, String> metadata = new LinkedHashMap<>();
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    /** Of the array that is being read. */
    private final long[] numbers = new long[MOST_AXES];
    private @Nullable String reading;

    private Header(Path file, long dataSize) {
        this.file = file;
        this.dataSize = dataSize;
    }

    /**
     * Reads a header.
     *
     * @param file for messages
     * @param text the header's bytes
     * @param dataSize how many bytes follow it
     */
    static Header read(Path file, MemorySegment text, long dataSize) {
        var header = new Header(file, dataSize);
        var decoder = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
                .onUnmappableCharacter(CodingErrorAction.REPORT);
        try (Reader reader = new InputStreamReader(new SegmentInput(text), decoder);
                JsonParser parser = JSON.createParser(reader)) {
            header.root(parser);
        } catch (CharacterCodingException e) {
            throw header.refuse("the header is not UTF-8: " + e.getMessage());
        } catch (JsonProcessingException e) {
            throw header.refuse("the header is no JSON that is understood, at character "
                    + (e.getLocation() == null ? -1 : e.getLocation().getCharOffset()) + ": "
                    + Shown.text(e.getOriginalMessage()));
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file + ": " + e.getMessage(), e);
        }
        header.requireNoHoles();
        return header;
    }

    Map<String, String> metadata() {
        return metadata;
    }

    /** In the order of the header. */
    Iterable<Entry> entries() {
        return entries.values();
    }

    private void root(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw refuse("the header is no JSON object");
        }
        boolean described = false;
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String name = parser.currentName();
            if (!name.equals(StoredTensor.METADATA)) {
                reading = name;
                Entry entry = tensor(parser);
                if (entries.putIfAbsent(name, entry) != null) {
                    throw refuse("there are two of this name");
                }
                reading = null;
            } else if (described) {
                throw refuse(StoredTensor.METADATA + " is there twice");
            } else {
                described = true;
                describe(parser);
            }
        }
        if (parser.nextToken() != null) {
            throw refuse("something follows the header's object");
        }
    }

    private void describe(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw refuse(StoredTensor.METADATA + " is no JSON object");
        }
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String key = parser.currentName();
            if (parser.nextToken() != JsonToken.VALUE_STRING) {
                throw refuse(StoredTensor.METADATA + ": the value of " + Shown.text(key) + " is no text");
            }
            if (metadata.putIfAbsent(key, parser.getText()) != null) {
                throw refuse(StoredTensor.METADATA + ": there are two values of " + Shown.text(key));
            }
        }
    }

    private Entry tensor(JsonParser parser) throws IOException {
        if (parser.nextToken() != JsonToken.START_OBJECT) {
            throw refuse("its description is no JSON object");
        }
        StoredType dtype = null;
        long[] shape = null;
        long[] offsets = null;
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String field = parser.currentName();
            boolean first = switch (field) {
                case "dtype" -> dtype == null;
                case "shape" -> shape == null;
                case "data_offsets" -> offsets == null;
                default -> throw refuse("its description has an unknown " + Shown.text(field));
            };
            if (!first) {
                throw refuse("its description has two of " + field);
            }
            parser.nextToken();
            switch (field) {
                case "dtype" -> dtype = dtype(parser);
                case "shape" -> shape = numbers(field, parser);
                default -> offsets = numbers(field, parser);
            }
        }
        if (dtype == null || shape == null || offsets == null) {
            throw refuse("its description has no "
                    + (dtype == null ? "dtype" : shape == null ? "shape" : "data_offsets"));
        }
        return entry(String.valueOf(reading), dtype, shape, offsets);
    }

    private StoredType dtype(JsonParser parser) throws IOException {
        if (parser.currentToken() == JsonToken.VALUE_STRING) {
            String name = parser.getText();
            for (StoredType type : StoredType.values()) {
                if (type.name().equals(name)) {
                    return type;
                }
            }
            throw refuse("dtype " + Shown.text(name) + " is none of " + Arrays.toString(StoredType.values()));
        }
        throw refuse("its dtype is no text");
    }

    private long[] numbers(String field, JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw refuse(field + " is no array");
        }
        int count = 0;
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT || !fits(parser)) {
                throw refuse(
                        field + " has " + Shown.text(parser.getText()) + ", which is no number from 0 to 2^63 - 1");
            }
            if (count == numbers.length) {
                throw refuse(field + " has more than " + MOST_AXES + " numbers");
            }
            numbers[count++] = parser.getLongValue();
        }
        return Arrays.copyOf(numbers, count);
    }

    private static boolean fits(JsonParser parser) throws IOException {
        // A sign stands before -0 as well, which the format's own reader refuses.
        return parser.getNumberType() != JsonParser.NumberType.BIG_INTEGER
                && parser.getTextCharacters()[parser.getTextOffset()] != '-';
    }

    private Entry entry(String name, StoredType dtype, long[] shape, long[] offsets) {
        if (offsets.length != 2 || offsets[0] > offsets[1] || offsets[1] > dataSize) {
            throw refuse("data_offsets " + Arrays.toString(offsets) + " are no part of the " + dataSize
                    + " bytes after the header");
        }
        long size;
        try {
            size = StoredTensor.byteSize(dtype, shape);
        } catch (ArithmeticException e) {
            throw refuse("shape " + Arrays.toString(shape) + " of " + dtype + " is larger than 2^63 bytes");
        }
        if (size != offsets[1] - offsets[0]) {
            throw refuse("shape " + Arrays.toString(shape) + " of " + dtype + " takes " + size
                    + " bytes, data_offsets " + Arrays.toString(offsets) + " hold " + (offsets[1] - offsets[0]));
        }
        return new Entry(name, dtype, shape, offsets[0], offsets[1]);
    }

    /** Tensors follow each other from the first byte after the header to the last: so does the format want it. */
    private void requireNoHoles() {
        List<Entry> byPlace = new ArrayList<>(entries.values());
        byPlace.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
        long end = 0;
        for (Entry entry : byPlace) {
            if (entry.begin != end) {
                reading = entry.name;
                throw refuse("it starts at byte " + entry.begin + (entry.begin < end
                        ? ", in the midst of another that ends at "
                        : ", bytes before it belong to no tensor since ") + end);
            }
            end = entry.end;
        }
        if (end != dataSize) {
            throw refuse("the tensors end at byte " + end + ", but " + dataSize + " follow the header");
        }
    }

    private SafetensorsException refuse(String wrong) {
        return new SafetensorsException(file, reading, wrong);
    }
}
