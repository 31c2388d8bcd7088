/**
 * Reads and writes files in the safetensors format: {@link dev.isobit.safetensors.SafetensorsFile#open} by mapping,
 * {@link dev.isobit.safetensors.SafetensorsFile#write} whole or not at all.
 *
 * <p>{@snippet :
 * SafetensorsFile.write(file, Map.of("format", "pt"),
 *         List.of(new StoredTensor("weight", StoredType.F32, new long[] {2, 3}, MemorySegment.ofArray(weight))));
 * try (var saved = SafetensorsFile.open(file)) {
 *     MemorySegment bytes = saved.tensor("weight").bytes();
 * }
 * }
 */
@NullMarked
package dev.isobit.safetensors;

import org.jspecify.annotations.NullMarked;
