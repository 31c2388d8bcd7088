package dev.isobit.junit;

import dev.isobit.DType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Bit patterns of elements: what they are, how far apart. */
final class Elements {
    private static final int HASH_BYTES = 16;

    private Elements() {}

    /** An element's bits, in the lower end of the number. */
    static long get(byte[] elements, DType dtype, int index) {
        ByteBuffer bytes = ByteBuffer.wrap(elements).order(ByteOrder.LITTLE_ENDIAN);
        return switch (dtype.byteSize()) {
            case 1 -> Byte.toUnsignedLong(bytes.get(index));
            case 2 -> Short.toUnsignedLong(bytes.getShort(2 * index));
            case 4 -> Integer.toUnsignedLong(bytes.getInt(4 * index));
            default -> bytes.getLong(8 * index);
        };
    }

    /** The bit patterns of a few elements. */
    static String patterns(byte[] elements, DType dtype) {
        return IntStream.range(0, elements.length / dtype.byteSize())
                .mapToObj(i -> HexFormat.of().toHexDigits(get(elements, dtype, i), 2 * dtype.byteSize()))
                .collect(Collectors.joining(","));
    }

    /** The elements of such patterns. */
    static byte[] parse(String patterns, DType dtype) {
        if (patterns.isEmpty()) {
            return new byte[0];
        }
        String[] each = patterns.split(",", -1);
        ByteBuffer bytes = ByteBuffer.allocate(each.length * dtype.byteSize()).order(ByteOrder.LITTLE_ENDIAN);
        for (String pattern : each) {
            long bits = HexFormat.fromHexDigitsToLong(pattern);
            switch (dtype.byteSize()) {
                case 1 -> bytes.put((byte) bits);
                case 2 -> bytes.putShort((short) bits);
                case 4 -> bytes.putInt((int) bits);
                default -> bytes.putLong(bits);
            }
        }
        return bytes.array();
    }

    /** Gives every NaN the same bits, since which ones it has means nothing. */
    static void canonicalize(byte[] elements, DType dtype) {
        if (!dtype.isFloating()) {
            return;
        }
        ByteBuffer bytes = ByteBuffer.wrap(elements).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < elements.length / dtype.byteSize(); i++) {
            if (Double.isNaN(value(get(elements, dtype, i), dtype))) {
                switch (dtype) {
                    case F64 -> bytes.putLong(8 * i, 0x7ff8000000000000L);
                    case F32 -> bytes.putInt(4 * i, 0x7fc00000);
                    case F16 -> bytes.putShort(2 * i, (short) 0x7e00);
                    default -> bytes.putShort(2 * i, (short) 0x7fc0);
                }
            }
        }
    }

    private static double value(long bits, DType dtype) {
        return switch (dtype) {
            case F64 -> Double.longBitsToDouble(bits);
            case F32 -> Float.intBitsToFloat((int) bits);
            case F16 -> Float.float16ToFloat((short) bits);
            case BF16 -> Float.intBitsToFloat((int) bits << 16);
            case I64, I32, I16, U8 -> throw new IllegalArgumentException(dtype + " is an integer");
        };
    }

    /** Bits and, of floating-point types, the number. */
    static String text(long bits, DType dtype) {
        String hex = String.format(Locale.ROOT, "0x%0" + 2 * dtype.byteSize() + "x", bits);
        return switch (dtype) {
            case I64 -> Long.toString(bits);
            case I32 -> Integer.toString((int) bits);
            case I16 -> Short.toString((short) bits);
            case U8 -> Long.toString(bits);
            case F64 -> hex + " (" + value(bits, dtype) + ")";
            default -> hex + " (" + (float) value(bits, dtype) + ")";
        };
    }

    /** How far apart two elements are: in units in the last place. */
    static String distance(long a, long b, DType dtype) {
        if (!dtype.isFloating()) {
            return "";
        }
        if (Double.isNaN(value(a, dtype)) || Double.isNaN(value(b, dtype))) {
            return ", a NaN against a number";
        }
        long ulps = rank(a, dtype) - rank(b, dtype);
        boolean negative = rank(a, dtype) < rank(b, dtype);
        return ", " + Long.toUnsignedString(negative ? -ulps : ulps) + " ULP apart";
    }

    /** Neighbouring numbers have neighbouring ranks; both zeros have rank 0. */
    private static long rank(long bits, DType dtype) {
        long sign = 1L << 8 * dtype.byteSize() - 1;
        return (bits & sign) == 0 ? bits : -(bits & ~sign);
    }

    static String hash(byte[] elements) {
        return hex(Arrays.copyOf(sha256(elements), HASH_BYTES));
    }

    static byte[] sha256(byte[]... parts) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            for (byte[] part : parts) {
                digest.update(part);
            }
            return digest.digest();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has it", e);
        }
    }

    static byte[] sha256(String text) {
        return sha256(text.getBytes(StandardCharsets.UTF_8));
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }
}
