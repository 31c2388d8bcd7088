package dev.isobit.cuda;

import dev.isobit.cuda.KernelParams.Bce;
import dev.isobit.cuda.KernelParams.CrossEntropy;
import dev.isobit.cuda.KernelParams.NllLoss;
import dev.isobit.cuda.KernelParams.Softmax;

/**
 * Launch shapes as data: the one place to tune. Which kernel a shape takes is fixed by kernels/params.h; here stands
 * how many blocks of it a multiprocessor is given, and how many segments of a long row stay in shared memory. No choice
 * changes a bit of any result.
 */
final class LaunchTable {
    /**
     * The shapes of one family of devices: blocks per multiprocessor, and how much of a long row is kept.
     *
     * @param capability the lowest compute capability that it is for
     * @param lossThread the loss, a thread per row, 128 threads a block
     * @param lossWarp the loss, a warp per row, 128 threads a block
     * @param lossWide the loss, a warp with more registers per row, 128 threads a block
     * @param gradientThread with the gradient, a thread per row, 128 threads a block
     * @param gradientWarp with the gradient, a warp per row, 128 threads a block
     * @param gradientWide with the gradient, a warp with more registers per row, 128 threads a block
     * @param block a block per row, 256 threads
     * @param narrowWarp the loss of 16-bit logits, a warp per row, 128 threads a block
     * @param narrowBlock 16-bit logits, a block per row, 128 threads
     * @param stash the most segments of 32 KiB kept in shared memory per block: as many as leave room for two blocks
     * @param adam 256 threads a block
     * @param bce binary cross-entropy, 256 threads a block
     * @param narrowBce binary cross-entropy of 16-bit logits, 128 threads a block
     * @param measured what was measured, where
     */
    record Row(int capability, int lossThread, int lossWarp, int lossWide, int gradientThread, int gradientWarp,
            int gradientWide, int block, int narrowWarp, int narrowBlock, int stash,
            int adam, int bce, int narrowBce, String measured) {
        int rowBlocks(Variant variant, boolean gradient, boolean narrow) {
            return switch (variant) {
                case THREAD -> gradient ? gradientThread : lossThread;
                case WARP -> gradient ? gradientWarp : narrow ? narrowWarp : lossWarp;
                case WIDE -> gradient ? gradientWide : lossWide;
                case BLOCK -> narrow ? narrowBlock : block;
            };
        }
    }

    /** Blocks are as many as the registers of a multiprocessor allow (ptx/manifest.json tells them), on all chips. */
    static final Row[] ROWS = {
        // capability, loss: thread, warp, wide; gradient: the same; block; narrow: warp, block; stash; adam; bce, narrowBce; measured
        new Row(75, 8, 8, 5, 4, 5, 4, 3, 6, 3, 0, 4, 3, 4, "not yet measured on a device"),
        new Row(80, 8, 8, 5, 4, 5, 4, 3, 6, 3, 2, 4, 3, 4, "not yet measured on a device"),
        new Row(86, 8, 8, 5, 4, 5, 4, 3, 6, 3, 1, 4, 3, 4, "not yet measured on a device"),
        new Row(90, 8, 8, 5, 4, 5, 4, 3, 6, 3, 3, 4, 3, 4, "not yet measured on a device"),
        new Row(100, 8, 8, 5, 4, 5, 4, 3, 6, 3, 3, 4, 3, 4, "not yet measured on a device"),
        new Row(120, 8, 8, 5, 4, 5, 4, 3, 6, 3, 1, 4, 3, 4, "not yet measured on a device"),};

    static final int COUNT_THREADS = 256;
    static final int THREAD_THREADS = 128;
    static final int WARP_THREADS = 128;
    static final int BLOCK_THREADS = 256;
    static final int NARROW_BLOCK_THREADS = 128;
    static final int REDUCE_THREADS = 256;
    static final int OPTIMIZER_THREADS = 256;
    static final int BCE_THREADS = 256;
    static final int NARROW_BCE_THREADS = 128;
    /** Of F32: the registers of the focal loss allow no more. */
    private static final int FOCAL_BLOCKS = 2;
    static final int GENERAL_THREADS = 256;
    /** Of a block a row of 16 bits. */
    static final int GENERAL_NARROW_THREADS = 128;
    /** Up to here a thread takes a row of contiguous classes, beyond it a block. */
    static final int GENERAL_COLUMN_CLASSES = 32;
    /** Their registers and their shared memory allow no more. */
    private static final int GENERAL_BLOCKS = 2;
    private static final int GENERAL_NARROW_BLOCKS = 4;
    /** Shared memory that a block of a thread a row uses beside the logits that it keeps, with some room to spare. */
    private static final int COLUMN_STATIC_SHARED_BYTES = 6144;
    static final int NLL_THREADS = 256;
    /** What the kernels are compiled for. */
    static final int NLL_BLOCKS = 4;
    static final int GUARD_THREADS = 256;

    /** Rows that one block of the count kernel is worth starting for. */
    private static final long COUNT_ROWS_PER_BLOCK = 16384;
    /** Up to here a warp takes four rows at once, beyond it one. */
    private static final long WARP_PACKED_CLASSES = 256;
    private static final long WARPS_PER_OPTIMIZER_BLOCK = 8;
    /** Their registers allow no more on any chip. */
    private static final int AMSGRAD_BLOCKS = 3;
    private static final int MIXED_ADAM_BLOCKS = 3;
    private static final int MIXED_AMSGRAD_BLOCKS = 2;
    private static final int SGD_BLOCKS = 4;
    private static final int GUARD_BLOCKS = 4;
    private static final int SEGMENT_BYTES = CrossEntropy.SEGMENT * Float.BYTES;
    /** Shared memory that the block kernel uses beside the stash, with some room to spare. */
    static final int BLOCK_STATIC_SHARED_BYTES = 16384;

    /** How a row of logits is shared out. */
    enum Variant {
        THREAD("thread", THREAD_THREADS), WARP("warp", WARP_THREADS), WIDE("wide", WARP_THREADS), BLOCK("block",
                BLOCK_THREADS);

        final String suffix;
        final int threads;

        Variant(String suffix, int threads) {
            this.suffix = suffix;
            this.threads = threads;
        }

        /** Threads of a block, for logits of 16 bits or not. */
        int threads(boolean narrow) {
            return this == BLOCK && narrow ? NARROW_BLOCK_THREADS : threads;
        }
    }

    /** How softmax is shared out; blocks of a multiprocessor are as many as the registers allow on all chips. */
    enum SoftmaxVariant {
        WARP("warp", 128, 5, 3), BLOCK("block", 256, 2, 2), COLUMN("column", 128, 6, 6);

        /** Of a block a row of 16 bits. */
        private static final int NARROW_FORWARD_BLOCKS = 4;
        private static final int NARROW_GRADIENT_BLOCKS = 3;

        final String suffix;
        private final int threads;
        private final int forwardBlocks;
        private final int gradientBlocks;

        SoftmaxVariant(String suffix, int threads, int forwardBlocks, int gradientBlocks) {
            this.suffix = suffix;
            this.threads = threads;
            this.forwardBlocks = forwardBlocks;
            this.gradientBlocks = gradientBlocks;
        }

        /** Threads of a block, for 16 bits or not. */
        int threads(boolean narrow) {
            return this == BLOCK && narrow ? NARROW_BLOCK_THREADS : threads;
        }

        int blocks(boolean gradient, boolean narrow) {
            if (this == BLOCK && narrow) {
                return gradient ? NARROW_GRADIENT_BLOCKS : NARROW_FORWARD_BLOCKS;
            }
            return gradient ? gradientBlocks : forwardBlocks;
        }
    }

    private final Row row;
    private final int multiprocessors;
    private final int stash;
    private final int columnSharedBytes;

    LaunchTable(CudaDevice device) {
        this.row = rowFor(device.capability());
        this.multiprocessors = device.multiprocessors();
        this.stash = Math.max(0, Math.min(row.stash,
                (device.sharedBytesPerBlock() - BLOCK_STATIC_SHARED_BYTES) / SEGMENT_BYTES));
        this.columnSharedBytes =
                Math.max(0, device.sharedBytesPerBlock() / GENERAL_BLOCKS - COLUMN_STATIC_SHARED_BYTES);
    }

    static Row rowFor(int capability) {
        Row found = ROWS[0];
        for (Row row : ROWS) {
            if (row.capability <= capability) {
                found = row;
            }
        }
        return found;
    }

    Variant variant(long classes) {
        return classes <= CrossEntropy.THREAD_CLASSES
                ? Variant.THREAD
                : classes <= CrossEntropy.WARP_CLASSES
                        ? Variant.WARP
                        : classes <= CrossEntropy.WIDE_CLASSES ? Variant.WIDE : Variant.BLOCK;
    }

    int rowGrid(Variant variant, boolean gradient, boolean narrow, long rows, long classes) {
        long rowsPerBlock = switch (variant) {
            case THREAD -> THREAD_THREADS;
            case WARP -> classes <= WARP_PACKED_CLASSES ? 16 : 4;
            case WIDE -> 4;
            case BLOCK -> 1;
        };
        return grid(ceil(rows, rowsPerBlock), row.rowBlocks(variant, gradient, narrow));
    }

    int rowSharedBytes(Variant variant, boolean narrow, long classes) {
        return switch (variant) {
            case THREAD -> (int) (THREAD_THREADS * (narrow ? Short.BYTES : Float.BYTES) * classes + 16);
            case WARP, WIDE -> 0;
            case BLOCK -> SEGMENT_BYTES * stashSegments(variant, classes);
        };
    }

    /** Segments kept in shared memory: all but the one in registers, as far as the device has room. */
    int stashSegments(Variant variant, long classes) {
        return variant == Variant.BLOCK ? (int) Math.min(stash, ceil(classes, CrossEntropy.SEGMENT) - 1) : 0;
    }

    /** The most dynamic shared memory that the block kernel may be launched with here. */
    int blockSharedBytes() {
        return SEGMENT_BYTES * stash;
    }

    int countBlocks(long rows) {
        return (int) Math.min(CrossEntropy.COUNT_BLOCKS, ceil(rows, COUNT_ROWS_PER_BLOCK));
    }

    int reduceGrid(long rows) {
        return Math.clamp(ceil(rows, CrossEntropy.SEGMENT), 1, Integer.MAX_VALUE);
    }

    int adamGrid(long chunks, boolean amsgrad, boolean mixed) {
        int blocks = mixed ? MIXED_ADAM_BLOCKS : row.adam;
        return grid(ceil(chunks, WARPS_PER_OPTIMIZER_BLOCK),
                amsgrad ? mixed ? MIXED_AMSGRAD_BLOCKS : AMSGRAD_BLOCKS : blocks);
    }

    int sgdGrid(long chunks) {
        return grid(ceil(chunks, WARPS_PER_OPTIMIZER_BLOCK), SGD_BLOCKS);
    }

    int guardGrid(long segments) {
        return grid(segments, GUARD_BLOCKS);
    }

    /**
     * Of a guarded step in one launch.
     *
     * @param resident blocks that a multiprocessor runs at once
     */
    int guardedGrid(long chunks, long segments, int resident) {
        return grid(Math.max(ceil(chunks, WARPS_PER_OPTIMIZER_BLOCK), segments), resident);
    }

    int bceGrid(long count, boolean narrow) {
        return grid(ceil(count, Bce.SEGMENT), narrow ? row.narrowBce : row.bce);
    }

    int focalGrid(long count, boolean narrow) {
        return grid(ceil(count, Bce.SEGMENT), narrow ? row.narrowBce : FOCAL_BLOCKS);
    }

    /** How many blocks of a kernel of cross-entropy with options share out so many pieces of work. */
    int generalGrid(long pieces, int threads) {
        return grid(pieces, threads == GENERAL_NARROW_THREADS ? GENERAL_NARROW_BLOCKS : GENERAL_BLOCKS);
    }

    /** The most shared memory in which a block of a thread a row keeps logits: as much as leaves room for two blocks. */
    int columnSharedBytes() {
        return columnSharedBytes;
    }

    /** The shared memory in which a block of a thread a row keeps logits of so many bytes; 0 if there is too little of it. */
    int columnSharedBytes(long classes, int size) {
        return classes <= columnSharedBytes / (GENERAL_THREADS * size) ? (int) (GENERAL_THREADS * size * classes) : 0;
    }

    SoftmaxVariant softmaxVariant(long classes, long inner) {
        return inner > 1
                ? SoftmaxVariant.COLUMN
                : classes <= Softmax.WARP_CLASSES ? SoftmaxVariant.WARP : SoftmaxVariant.BLOCK;
    }

    int softmaxGrid(SoftmaxVariant variant, boolean gradient, boolean narrow, long outer, long classes, long inner) {
        long blocks = switch (variant) {
            case WARP -> ceil(outer, classes <= WARP_PACKED_CLASSES ? 16 : 4);
            case BLOCK -> outer;
            case COLUMN -> ceil(outer * inner, SoftmaxVariant.COLUMN.threads);
        };
        return grid(blocks, variant.blocks(gradient, narrow));
    }

    /** So many rows that a block has about 8192 elements of the gradient to write. */
    int nllRowsPerBlock(long classes) {
        return Math.clamp(8192 / classes, 1, NLL_THREADS);
    }

    int nllRowsGrid(long rows, long classes) {
        return grid(ceil(rows, nllRowsPerBlock(classes)), NLL_BLOCKS);
    }

    /** Of weigh and reduce. */
    int nllSegmentsGrid(long rows) {
        return grid(ceil(rows, NllLoss.SEGMENT), NLL_BLOCKS);
    }

    private int grid(long blocksWithWork, int perMultiprocessor) {
        return (int) Math.clamp(blocksWithWork, 1, (long) multiprocessors * perMultiprocessor);
    }

    static long ceil(long count, long size) {
        return count / size + (count % size == 0 ? 0 : 1);
    }
}
