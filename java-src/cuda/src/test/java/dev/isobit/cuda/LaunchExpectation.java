package dev.isobit.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * What kernels/*_params.h ask for, written down a second time with plain offsets, so that neither the layouts nor the
 * launch table can be wrong in silence.
 */
record LaunchExpectation(String function, int grid, int block, int shared, byte[] arguments) {
    private static ByteBuffer crossEntropyBlock() {
        return ByteBuffer.allocate(120).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** The argument block of cross-entropy, field by field in the order of cross_entropy_params.h. */
    static byte[] crossEntropy(long logits, long targets, long gradLoss, long rowLoss, long loss, long gradLogits,
            long denominatorParts, long lossParts, long arrivals, long status, long rows, long classes,
            long ignoreIndex, int flags, int countBlocks, int stashSegments) {
        ByteBuffer to = crossEntropyBlock();
        for (long value : new long[] {logits, targets, gradLoss, rowLoss, loss, gradLogits, denominatorParts,
            lossParts, arrivals, status, rows, classes, ignoreIndex}) {
            to.putLong(value);
        }
        return to.putInt(flags).putInt(countBlocks).putInt(stashSegments).putInt(0).array();
    }

    /** The argument block of Adam, of one group. */
    static byte[] adam(long chunks, long chunkCount, float w1, float w2, float negStepSize, float rsqrtBc2, float eps,
            float paramDecay, float gradDecay, int flags) {
        ByteBuffer to = ByteBuffer.allocate(16 + 64 * 32).order(ByteOrder.LITTLE_ENDIAN);
        to.putLong(chunks).putLong(chunkCount);
        for (float value : new float[] {w1, w2, negStepSize, rsqrtBc2, eps, paramDecay, gradDecay}) {
            to.putFloat(value);
        }
        return to.putInt(flags).array();
    }

    /** A launch as text, every byte included, for a comparison that shows what differs. */
    static String text(String function, List<Integer> grid, List<Integer> block, int shared, long stream,
            byte[] arguments) {
        StringBuilder text = new StringBuilder(function).append(" grid ").append(grid).append(" block ").append(block)
                .append(" shared ").append(shared).append(" stream 0x").append(Long.toHexString(stream));
        ByteBuffer bytes = ByteBuffer.wrap(arguments).order(ByteOrder.LITTLE_ENDIAN);
        for (int at = 0; at < arguments.length; at += 8) {
            text.append(String.format("%n  %3d: %016x", at, bytes.getLong(at)));
        }
        return text.toString();
    }

    String text(long stream) {
        return text(function, List.of(grid, 1, 1), List.of(block, 1, 1), shared, stream, arguments);
    }

    static String text(Recorder.Launch launch) {
        return text(launch.function(), launch.grid(), launch.block(), launch.shared(), launch.stream(),
                launch.arguments());
    }
}
