package dev.isobit.harness.cases;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;

/** A directory of cases put together by hand. */
final class CaseFiles {
    private final Path folder;
    private final StringBuilder cases =
            new StringBuilder("id\top\tdtype\tprovenance\trtol\tatol\tsource\tpath\tnotes\n");
    private final StringBuilder attrs = new StringBuilder("id\tkey\tvalue\n");
    private final StringBuilder tensors = new StringBuilder("id\trole\tname\tdtype\tshape\tfile\toffset\tnbytes\n");
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();
    private String id = "";

    CaseFiles(Path folder) {
        this.folder = folder;
    }

    CaseFiles add(String newId, String op, double rtol, double atol) {
        id = newId;
        cases.append(String.join("\t", id, op, "f32", "hand", text(rtol), text(atol), "", "", "")).append('\n');
        return this;
    }

    private static String text(double number) {
        return number == 0 ? "0" : Double.toString(number);
    }

    CaseFiles attr(String key, String value) {
        attrs.append(String.join("\t", id, key, value)).append('\n');
        return this;
    }

    CaseFiles floats(String role, String name, String shape, double... values) {
        ByteBuffer bytes = buffer(4 * values.length);
        for (double value : values) {
            bytes.putFloat((float) value);
        }
        return tensor(role, name, "f32", shape, bytes);
    }

    CaseFiles bf16(String role, String name, String shape, double... values) {
        ByteBuffer bytes = buffer(2 * values.length);
        for (double value : values) {
            bytes.putShort((short) (Float.floatToRawIntBits((float) value) >> 16));
        }
        return tensor(role, name, "bf16", shape, bytes);
    }

    CaseFiles doubles(String role, String name, String shape, double... values) {
        ByteBuffer bytes = buffer(8 * values.length);
        for (double value : values) {
            bytes.putDouble(value);
        }
        return tensor(role, name, "f64", shape, bytes);
    }

    CaseFiles longs(String role, String name, String shape, long... values) {
        ByteBuffer bytes = buffer(8 * values.length);
        for (long value : values) {
            bytes.putLong(value);
        }
        return tensor(role, name, "i64", shape, bytes);
    }

    private static ByteBuffer buffer(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private CaseFiles tensor(String role, String name, String dtype, String shape, ByteBuffer bytes) {
        tensors.append(String.join("\t", id, role, name, dtype, shape, "tensors.bin", Integer.toString(data.size()),
                Integer.toString(bytes.capacity()))).append('\n');
        data.writeBytes(bytes.array());
        return this;
    }

    /** Writes it all and returns the directory. */
    Path write() {
        try {
            Files.createDirectories(folder);
            Files.writeString(folder.resolve("cases.tsv"), cases);
            Files.writeString(folder.resolve("attrs.tsv"), attrs);
            Files.writeString(folder.resolve("tensors.tsv"), tensors);
            Files.write(folder.resolve("tensors.bin"), data.toByteArray());
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
