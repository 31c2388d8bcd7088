package dev.isobit.bench;

import dev.isobit.DType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * What is measured: an operation at one size.
 *
 * @param operation one of {@link #OPERATIONS}
 * @param dtype of logits, or of parameters and gradients; moments are F32
 * @param shape {@code [rows, classes]}; {@code [rows, labels]} for {@code bce}, which has a posWeight for each label;
 *     {@code [tensors, elements of each]} for optimizers
 * @param threads of the host; 0 for operations on a device
 */
public record BenchCase(String operation, DType dtype, List<Long> shape, int threads) {
    /**
     * Names of operations: cross-entropy and binary cross-entropy are loss and gradient in one call; {@code adamw-clipped} is a step
     * of AdamW that divides gradients by a loss scale, is skipped where they are not finite, and clips them by their norm.
     */
    public static final List<String> OPERATIONS = List.of("cross-entropy", "bce", "adamw", "adamw-clipped", "sgd");

    /** What logits or parameters of an operation may be here. */
    static List<DType> dtypes(String operation) {
        return switch (operation) {
            case "sgd", AdamWorkload.CLIPPED -> List.of(DType.F32);
            default -> List.of(DType.F32, DType.BF16, DType.F16);
        };
    }

    static BenchCase of(String operation, DType dtype, int threads, long... shape) {
        return new BenchCase(operation, dtype, Arrays.stream(shape).boxed().toList(), threads);
    }

    /**
     * How many logits or parameters there are.
     *
     * @return the product of the shape
     */
    public long elements() {
        return shape.stream().reduce(1L, Math::multiplyExact);
    }

    /**
     * The shape in words.
     *
     * @return such as {@code 512x32000}
     */
    public String shapeText() {
        return shape.stream().map(String::valueOf).collect(Collectors.joining("x"));
    }

    /** What the operands need, about. */
    long operandBytes() {
        return elements() * switch (operation) {
            case "cross-entropy" -> 2 * dtype.byteSize();
            case "bce" -> 2 * dtype.byteSize() + 4;
            case "sgd" -> 3 * dtype.byteSize();
            default -> 2 * dtype.byteSize() + 8;
        };
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%s %s %s%s", operation, shapeText(), dtype, threads == 0
                ? ""
                : threads == 1 ? ", 1 thread" : ", " + threads + " threads");
    }
}
