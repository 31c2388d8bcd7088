package dev.isobit.ptx;

/** A PTX fundamental type: its width in bits and how its bits are read. */
enum Type {
    PRED(1, Kind.PREDICATE), B8(8, Kind.BITS), B16(16, Kind.BITS), B32(32, Kind.BITS), B64(64, Kind.BITS), B128(128,
            Kind.BITS), U8(8, Kind.UNSIGNED), U16(16, Kind.UNSIGNED), U32(32, Kind.UNSIGNED), U64(64,
                    Kind.UNSIGNED), S8(8, Kind.SIGNED), S16(16, Kind.SIGNED), S32(32, Kind.SIGNED), S64(64,
                            Kind.SIGNED), U16X2(32, Kind.PACKED), S16X2(32, Kind.PACKED), F16(16, Kind.FLOAT), BF16(16,
                                    Kind.FLOAT), F32(32, Kind.FLOAT), F64(64,
                                            Kind.FLOAT), F16X2(32, Kind.PACKED), BF16X2(32, Kind.PACKED);

    enum Kind {
        PREDICATE, BITS, UNSIGNED, SIGNED, FLOAT, PACKED
    }

    final int bits;
    final int bytes;
    final Kind kind;

    Type(int bits, Kind kind) {
        this.bits = bits;
        this.bytes = Math.max(1, bits / 8);
        this.kind = kind;
    }

    /** The type that a suffix such as {@code u32} names, or null. */
    static Type of(String suffix) {
        return switch (suffix) {
            case "pred" -> PRED;
            case "b8" -> B8;
            case "b16" -> B16;
            case "b32" -> B32;
            case "b64" -> B64;
            case "b128" -> B128;
            case "u8" -> U8;
            case "u16" -> U16;
            case "u32" -> U32;
            case "u64" -> U64;
            case "s8" -> S8;
            case "s16" -> S16;
            case "s32" -> S32;
            case "s64" -> S64;
            case "u16x2" -> U16X2;
            case "s16x2" -> S16X2;
            case "f16" -> F16;
            case "bf16" -> BF16;
            case "f32" -> F32;
            case "f64" -> F64;
            case "f16x2" -> F16X2;
            case "bf16x2" -> BF16X2;
            default -> null;
        };
    }

    boolean isFloat() {
        return kind == Kind.FLOAT;
    }

    boolean isSigned() {
        return kind == Kind.SIGNED;
    }

    /** True for bit, signed and unsigned types: those that hold whole numbers. */
    boolean isInteger() {
        return kind == Kind.BITS || kind == Kind.UNSIGNED || kind == Kind.SIGNED;
    }

    /** Whether a register of this type may be used as the other: not a whole number as a floating-point one. */
    boolean agreesWith(Type other) {
        boolean open = kind == Kind.BITS || other.kind == Kind.BITS || kind == Kind.PACKED
                || other.kind == Kind.PACKED;
        return open || isFloat() == other.isFloat();
    }

    /** True where values live in the 64-bit register file. */
    boolean isWide() {
        return bits == 64;
    }

    @Override
    public String toString() {
        return "." + name().toLowerCase(java.util.Locale.ROOT);
    }
}
