package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Instructions by which the threads of a warp talk to each other. */
class WarpTest {
    /** A kernel whose thread i writes %d to out[i]; the body may use %lane. */
    private static String kernel(String body) {
        return """
                .visible .entry k(.param .u64 out)
                {
                  .reg .pred %p, %q, %r;
                  .reg .b32 %d, %e, %f, %lane;
                  .reg .b64 %o, %x, %y;
                  mov.u32 %lane, %tid.x;
                  ld.param.u64 %o, [out];
                  mul.wide.u32 %x, %lane, 4;
                  add.u64 %o, %o, %x;
                """ + body + """
                  st.global.u32 [%o], %d;
                  ret;
                }
                """;
    }

    private static int[] run(String target, String body, int threads) {
        try (KernelBed bed = new KernelBed(target, kernel(body))) {
            long out = bed.ints(new int[threads]);
            bed.launch("k", Launch.of(1, threads), out);
            return bed.read(out, threads);
        }
    }

    private static int[] expected(int n, IntUnaryOperator f) {
        int[] all = new int[n];
        java.util.Arrays.setAll(all, f);
        return all;
    }

    /** The pseudo-code of the PTX definition. */
    private static int[] shuffle(String mode, int b, int c, int lane) {
        int bval = b & 31;
        int cval = c & 31;
        int mask = c >> 8 & 31;
        int maxLane = lane & mask | cval & ~mask;
        int minLane = lane & mask;
        int j;
        boolean pval;
        switch (mode) {
            case "up" -> {
                j = lane - bval;
                pval = j >= maxLane;
            }
            case "down" -> {
                j = lane + bval;
                pval = j <= maxLane;
            }
            case "bfly" -> {
                j = lane ^ bval;
                pval = j <= maxLane;
            }
            default -> {
                j = minLane | bval & ~mask;
                pval = j <= maxLane;
            }
        }
        return new int[] {pval ? j : lane, pval ? 1 : 0};
    }

    @ParameterizedTest
    @ValueSource(strings = {"up", "down", "bfly", "idx"})
    void shuffles(String mode) {
        for (int segment : new int[] {0, 0x1f - 7, 0x1f - 15}) {
            for (int by : new int[] {0, 1, 3, 4, 9, 16, 31, 0x205, 0x1f02}) {
                int c = segment << 8 | (by > 31 ? by >> 8 : mode.equals("up") ? 0 : 31);
                int[] got = run("sm_75", """
                          add.u32 %%e, %%lane, 100;
                          shfl.sync.%s.b32 %%d|%%p, %%e, %d, %d, 0xffffffff;
                          selp.u32 %%f, 1000, 0, %%p;
                          add.u32 %%d, %%d, %%f;
                        """.formatted(mode, by, c), 32);
                assertArrayEquals(expected(32, lane -> {
                    int[] r = shuffle(mode, by, c, lane);
                    return r[0] + 100 + 1000 * r[1];
                }), got, mode + " by " + by + " c " + c);
            }
        }
    }

    @Test
    void votes() {
        int[] got = run("sm_75", """
                  setp.lt.u32 %p, %lane, 5;
                  vote.sync.ballot.b32 %d, %p, 0xffffffff;
                  vote.sync.any.pred %q, %p, 0xffffffff;
                  selp.u32 %e, 0x100, 0, %q;
                  or.b32 %d, %d, %e;
                  vote.sync.all.pred %q, %p, 0xffffffff;
                  selp.u32 %e, 0x200, 0, %q;
                  or.b32 %d, %d, %e;
                  vote.sync.uni.pred %q, %p, 0xffffffff;
                  selp.u32 %e, 0x400, 0, %q;
                  or.b32 %d, %d, %e;
                  vote.sync.all.pred %q, !%q, 0xffffffff;
                  selp.u32 %e, 0x800, 0, %q;
                  or.b32 %d, %d, %e;
                """, 32);
        assertArrayEquals(expected(32, lane -> 0x1f | 0x100 | 0x800), got);
    }

    @Test
    void votesOfAPartOfTheWarp() {
        int[] got = run("sm_75", """
                  setp.lt.u32 %p, %lane, 8;
                  @%p bra FEW;
                  vote.sync.ballot.b32 %d, !%p, 0xffffff00;
                  bra.uni DONE;
                FEW:
                  activemask.b32 %d;
                DONE:
                """, 32);
        assertArrayEquals(expected(32, lane -> lane < 8 ? 0xff : 0xffffff00), got);
    }

    @Test
    void matches() {
        int[] got = run("sm_75", """
                  shr.u32 %e, %lane, 2;
                  match.any.sync.b32 %d, %e, 0xffffffff;
                """, 32);
        assertArrayEquals(expected(32, lane -> 0xf << (lane & ~3)), got);
        got = run("sm_75", """
                  cvt.u64.u32 %x, 7;
                  match.all.sync.b64 %d|%p, %x, 0xffffffff;
                  selp.u32 %e, 1, 0, %p;
                  add.u32 %d, %d, %e;
                """, 32);
        assertArrayEquals(expected(32, lane -> 0), got); // all ones, plus one
        got = run("sm_75", "  match.all.sync.b32 %d|%p, %lane, 0xffffffff;\n", 32);
        assertArrayEquals(new int[32], got);
    }

    @ParameterizedTest
    @CsvSource({"add.s32,-16", "min.s32,-16", "max.s32,15", "min.u32,0", "max.u32,-1", "and.b32,0", "or.b32,-1",
        "xor.b32,0"})
    void reductions(String op, int result) {
        int[] got = run("sm_90", """
                  sub.s32 %%e, %%lane, 16;
                  redux.sync.%s %%d, %%e, 0xffffffff;
                """.formatted(op), 32);
        assertArrayEquals(expected(32, lane -> result), got);
    }

    @Test
    void election() {
        int[] got = run("sm_90", """
                  elect.sync %d|%p, 0xffffffff;
                  selp.u32 %e, 10, 20, %p;
                  add.u32 %d, %d, %e;
                """, 32);
        assertArrayEquals(expected(32, lane -> lane == 0 ? 10 : 20), got);
    }

    @Test
    void laneRegisters() {
        List<String> names = List.of("laneid", "warpid", "nwarpid", "lanemask_eq", "lanemask_lt", "lanemask_le",
                "lanemask_gt", "lanemask_ge", "ntid.x", "ctaid.x", "nctaid.x", "tid.y");
        List<IntUnaryOperator> values = new ArrayList<>(List.of(t -> t % 32, t -> t / 32, t -> 2, t -> 1 << t,
                t -> (1 << t) - 1, t -> (1 << t) - 1 | 1 << t, t -> ~((1 << t) - 1 | 1 << t), t -> ~((1 << t) - 1),
                t -> 40, t -> 0, t -> 1, t -> 0));
        for (int i = 0; i < names.size(); i++) {
            int[] got = run("sm_75", "  mov.u32 %d, %" + names.get(i) + ";\n", 40);
            assertArrayEquals(expected(40, values.get(i)), got, names.get(i));
        }
    }

    /** Threads that come to one shuffle on different ways wait for each other, as threads of their own do. */
    @Test
    void aShuffleReachedOnDifferentWays() {
        int[] got = run("sm_75", """
                  setp.lt.u32 %p, %lane, 16;
                  setp.eq.u32 %q, %lane, 99;
                  mov.u32 %e, 1;
                  @%p bra A;
                  mov.u32 %e, 2;
                  @%q exit;
                A:
                  add.u32 %e, %e, %lane;
                  shfl.sync.bfly.b32 %d|%r, %e, 31, 31, 0xffffffff;
                """, 32);
        assertArrayEquals(expected(32, lane -> 31 - lane + (31 - lane < 16 ? 1 : 2)), got);
    }

    /** Each half of a warp names itself, in one and the same instruction. */
    @Test
    void groupsOfOneWarp() {
        int[] got = run("sm_75", """
                  mov.u32 %f, 0x0000ffff;
                  setp.ge.u32 %p, %lane, 16;
                  @%p mov.u32 %f, 0xffff0000;
                  shfl.sync.bfly.b32 %d|%r, %lane, 3, 4127, %f;
                  vote.sync.ballot.b32 %e, 1, %f;
                  add.u32 %d, %d, %e;
                """, 32);
        assertArrayEquals(expected(32, lane -> (lane ^ 3) + (lane < 16 ? 0xffff : 0xffff0000)), got);
        // The halves come on two ways that cut across the groups.
        got = run("sm_75", """
                  and.b32 %e, %lane, 1;
                  setp.eq.u32 %p, %e, 0;
                  setp.eq.u32 %q, %lane, 99;
                  mov.u32 %e, 100;
                  @%p bra A;
                  mov.u32 %e, 200;
                  @%q exit;
                A:
                  mov.u32 %f, 0x0000ffff;
                  setp.ge.u32 %p, %lane, 16;
                  @%p mov.u32 %f, 0xffff0000;
                  add.u32 %e, %e, %lane;
                  shfl.sync.bfly.b32 %d|%r, %e, 1, 4127, %f;
                """, 32);
        assertArrayEquals(expected(32, lane -> (lane ^ 1) + (lane % 2 == 0 ? 200 : 100)), got);
    }

    @Test
    void aThreadOutsideTheMemberMask() {
        DeviceFault fault = assertThrows(DeviceFault.class,
                () -> run("sm_75", "  shfl.sync.bfly.b32 %d|%r, %lane, 1, 31, 0x0000ffff;\n", 32));
        assertEquals(DeviceFault.Kind.UNDEFINED, fault.kind());
        assertEquals(16, fault.thread().thread().x());
    }

    @Test
    void aMemberThatNeverComes() {
        DeviceFault fault = assertThrows(DeviceFault.class, () -> run("sm_75", """
                  setp.lt.u32 %p, %lane, 16;
                  @%p bra A;
                  bar.sync 1, 64;
                A:
                  shfl.sync.bfly.b32 %d|%r, %lane, 1, 31, 0xffffffff;
                """, 32));
        assertEquals(DeviceFault.Kind.DEADLOCK, fault.kind());
    }
}
