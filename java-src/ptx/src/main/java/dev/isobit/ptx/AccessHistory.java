package dev.isobit.ptx;

import java.util.Arrays;

/**
 * Who last accessed each piece of a memory: the last writer, and two readers since. Kept in pages, in pieces of four
 * bytes, or of fewer once something smaller is accessed there.
 */
final class AccessHistory {
    private static final int PAGE_SHIFT = 10;
    /** Numbers per access: thread, time, and instruction with the sign bit set if the access was a strong one. */
    static final int FIELDS = 3;
    /** Accesses per piece: writer, reader, another reader. */
    private static final int WIDTH = 3 * FIELDS;
    static final int WRITER = 0;
    static final int READER = FIELDS;
    static final int OTHER_READER = 2 * FIELDS;

    private final Page[] pages;

    /** The accesses of one page, {@link #WIDTH} numbers per piece; a thread of -1 is none. */
    static final class Page {
        int shift = 2;
        int[] accesses = empty(1 << PAGE_SHIFT - 2);

        private static int[] empty(int pieces) {
            int[] all = new int[pieces * WIDTH];
            Arrays.fill(all, -1);
            return all;
        }

        /** Divides pieces until they are no larger than this. */
        void refine(int wanted) {
            while (shift > wanted) {
                int[] finer = new int[accesses.length * 2];
                for (int i = 0; i < accesses.length; i += WIDTH) {
                    System.arraycopy(accesses, i, finer, 2 * i, WIDTH);
                    System.arraycopy(accesses, i, finer, 2 * i + WIDTH, WIDTH);
                }
                accesses = finer;
                shift--;
            }
        }

        /** Index of the piece that holds an offset. */
        int piece(long offset) {
            return (int) (offset & (1 << PAGE_SHIFT) - 1) >>> shift;
        }

        /** Where an access of a piece is noted. */
        static int index(int piece, int access) {
            return piece * WIDTH + access;
        }

        void note(int index, int thread, int time, int instruction) {
            accesses[index] = thread;
            accesses[index + 1] = time;
            accesses[index + 2] = instruction;
        }
    }

    AccessHistory(long bytes) {
        pages = new Page[Math.toIntExact((bytes >>> PAGE_SHIFT) + 1)];
    }

    /** The page of an access, fine enough for its size. An access never crosses pages: it is aligned. */
    Page page(long offset, int size) {
        int number = (int) (offset >>> PAGE_SHIFT);
        Page page = pages[number];
        if (page == null) {
            page = new Page();
            pages[number] = page;
        }
        if (size < 4) {
            page.refine(size >> 1);
        }
        return page;
    }
}
