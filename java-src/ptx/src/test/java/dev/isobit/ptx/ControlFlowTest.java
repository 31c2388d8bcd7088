package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Branches, loops, calls, barriers, clusters and grids, in many scheduling orders. */
class ControlFlowTest {
    private static final String HEAD = """
              .reg .pred %p, %q;
              .reg .b32 %a, %b, %c, %d, %i, %t;
              .reg .b64 %o, %x, %y;
              mov.u32 %t, %tid.x;
              mov.u32 %a, %ctaid.x;
              mov.u32 %b, %ntid.x;
              mad.lo.u32 %i, %a, %b, %t;
              ld.param.u64 %o, [out];
              mul.wide.u32 %x, %i, 4;
              add.u64 %x, %o, %x;
            """;

    private static String entry(String body) {
        return ".visible .entry k(.param .u64 out)\n{\n" + HEAD + body + "}\n";
    }

    private static int[] expected(int n, IntUnaryOperator f) {
        int[] all = new int[n];
        java.util.Arrays.setAll(all, f);
        return all;
    }

    private static void check(String target, String text, Launch launch, IntUnaryOperator f) {
        int n = (int) (launch.grid().size() * launch.block().size());
        try (KernelBed bed = new KernelBed(target, text)) {
            for (long seed = 0; seed < 8; seed++) {
                long out = bed.ints(new int[n]);
                bed.launch("k", launch.withSeed(seed), out);
                assertArrayEquals(expected(n, f), bed.read(out, n), "seed " + seed);
            }
        }
    }

    @Test
    void nestedBranches() {
        check("sm_75", entry("""
                  mov.u32 %d, 0;
                  and.b32 %a, %t, 1;
                  setp.eq.u32 %p, %a, 0;
                  @%p bra EVEN;
                  and.b32 %a, %t, 2;
                  setp.eq.u32 %p, %a, 0;
                  @!%p bra THREE;
                  add.u32 %d, %d, 10;
                  bra ODD;
                THREE:
                  add.u32 %d, %d, 30;
                ODD:
                  add.u32 %d, %d, 1;
                  bra JOIN;
                EVEN:
                  add.u32 %d, %d, 2;
                JOIN:
                  add.u32 %d, %d, 100;
                  activemask.b32 %c;
                  popc.b32 %c, %c;
                  mad.lo.u32 %d, %c, 1000, %d;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(1, 32), t -> 32000 + 100 + (t % 2 == 0 ? 2 : t % 4 == 3 ? 31 : 11));
    }

    @Test
    void loopsOfDifferentLengthMeetAgain() {
        check("sm_75", entry("""
                  mov.u32 %d, 0;
                  mov.u32 %c, 0;
                LOOP:
                  setp.ge.u32 %p, %c, %t;
                  @%p bra DONE;
                  add.u32 %c, %c, 1;
                  and.b32 %a, %c, 3;
                  setp.eq.u32 %q, %a, 0;
                  @%q bra LOOP;
                  add.u32 %d, %d, %c;
                  bra LOOP;
                DONE:
                  activemask.b32 %c;
                  popc.b32 %c, %c;
                  mad.lo.u32 %d, %c, 10000, %d;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(2, 32), i -> {
            int sum = 0;
            for (int c = 1; c <= i % 32; c++) {
                sum += c % 4 == 0 ? 0 : c;
            }
            return 320000 + sum;
        });
    }

    @Test
    void threadsThatLeaveEarly() {
        check("sm_75", entry("""
                  setp.lt.u32 %p, %t, 3;
                  @%p exit;
                  setp.lt.u32 %p, %t, 7;
                  @%p bra END;
                  activemask.b32 %d;
                  st.global.u32 [%x], %d;
                END:
                  ret;
                """), Launch.of(1, 48), t -> t < 7 ? 0 : t < 32 ? 0xffffff80 : 0xffff);
    }

    @Test
    void threadsThatLeaveWithinABranch() {
        check("sm_75", entry("""
                  mov.u32 %d, 1;
                  setp.lt.u32 %p, %t, 16;
                  @!%p bra JOIN;
                  mov.u32 %d, 2;
                  setp.lt.u32 %q, %t, 4;
                  @%q exit;
                JOIN:
                  activemask.b32 %c;
                  popc.b32 %c, %c;
                  mad.lo.u32 %d, %c, 100, %d;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(1, 32), t -> t < 4 ? 0 : t < 16 ? 2802 : 2801);
    }

    /** As in every kernel that strides over a grid: there is no other end than that of the loop. */
    @Test
    void branchesInALoopThatIsLeftToEnd() {
        check("sm_75", entry("""
                  mov.u32 %d, 0;
                  mov.u32 %i, 0;
                LOOP:
                  setp.ge.u32 %p, %i, 3;
                  @%p bra DONE;
                  and.b32 %a, %t, 1;
                  setp.eq.u32 %q, %a, 0;
                  @%q bra EVEN;
                  add.u32 %d, %d, 1000;
                EVEN:
                  activemask.b32 %c;
                  popc.b32 %c, %c;
                  add.u32 %d, %d, %c;
                  st.global.u32 [%x], %d;
                  add.u32 %i, %i, 1;
                  bra LOOP;
                DONE:
                  ret;
                """), Launch.of(1, 32), t -> t % 2 == 0 ? 96 : 3096);
    }

    @Test
    void aTableOfBranches() {
        check("sm_75", entry("""
                  and.b32 %a, %t, 3;
                TABLE: .branchtargets ZERO, ONE, TWO, ONE;
                  brx.idx %a, TABLE;
                ZERO:
                  mov.u32 %d, 5;
                  bra JOIN;
                ONE:
                  mov.u32 %d, 6;
                  bra JOIN;
                TWO:
                  mov.u32 %d, 7;
                JOIN:
                  activemask.b32 %c;
                  popc.b32 %c, %c;
                  mad.lo.u32 %d, %c, 100, %d;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(1, 32), t -> 3200 + new int[] {5, 6, 7, 6}[t % 4]);
    }

    @Test
    void callsOfFunctions() {
        check("sm_75", """
                .func (.param .b32 result) twice(.param .b32 value)
                {
                  .reg .pred %p;
                  .reg .b32 %v;
                  ld.param.b32 %v, [value];
                  setp.gt.u32 %p, %v, 20;
                  @%p bra BIG;
                  shl.b32 %v, %v, 1;
                  st.param.b32 [result], %v;
                  ret;
                BIG:
                  mov.u32 %v, 1000;
                  st.param.b32 [result], %v;
                  ret;
                }
                .func (.reg .b32 %r) plus(.reg .b32 %v, .param .align 4 .b8 pair[8])
                {
                  .reg .b32 %a, %b;
                  .reg .b64 %y;
                  ld.param.b32 %a, [pair];
                  ld.param.b32 %b, [pair+4];
                  add.u32 %r, %v, %a;
                  { .param .b32 in0;
                    .param .b32 out0;
                    st.param.b32 [in0], %b;
                    call.uni (out0), twice, (in0);
                    ld.param.b32 %b, [out0];
                  }
                  add.u32 %r, %r, %b;
                  ret;
                }
                """ + entry("""
                  { .param .align 4 .b8 pair[8];
                    st.param.b32 [pair], 7;
                    st.param.b32 [pair+4], %t;
                    call (%d), plus, (%i, pair);
                  }
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(2, 40), i -> i + 7 + (i % 40 > 20 ? 1000 : 2 * (i % 40)));
    }

    @Test
    void aCallThatOnlySomeThreadsMake() {
        check("sm_75", """
                .func (.reg .b32 %r) seven(.reg .b32 %v)
                {
                  add.u32 %r, %v, 7;
                  ret;
                }
                """ + entry("""
                  mov.u32 %d, 1;
                  setp.lt.u32 %p, %t, 5;
                  @!%p bra SKIP;
                  call (%d), seven, (%t);
                SKIP:
                  @%p call (%d), seven, (%d);
                  @!%p call (%d), seven, (%d);
                  activemask.b32 %c;
                  popc.b32 %c, %c;
                  mad.lo.u32 %d, %c, 100, %d;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(1, 32), t -> 3200 + (t < 5 ? t + 7 : 1) + 7);
    }

    /** Thread 0 holds a lock that the other threads of its warp spin for: possible where threads progress alone. */
    @Test
    void aLockWithinAWarp() {
        check("sm_75", ".global .u32 lock;\n.global .u32 sum;\n" + entry("""
                AGAIN:
                  atom.global.cas.b32 %a, [lock], 0, 1;
                  setp.ne.u32 %p, %a, 0;
                  @%p bra AGAIN;
                  ld.volatile.global.u32 %b, [sum];
                  add.u32 %b, %b, 1;
                  st.volatile.global.u32 [sum], %b;
                  membar.gl;
                  atom.global.exch.b32 %a, [lock], 0;
                  st.global.u32 [%x], 1;
                  ret;
                """), Launch.of(1, 64), t -> 1);
    }

    @Test
    void barriers() {
        // Each thread writes its slot and reads its neighbour's, several times over.
        check("sm_75", ".shared .align 4 .b8 slots[1024];\n" + entry("""
                  mov.u32 %a, slots;
                  shl.b32 %b, %t, 2;
                  add.u32 %b, %a, %b;
                  add.u32 %c, %t, 1;
                  and.b32 %c, %c, 127;
                  shl.b32 %c, %c, 2;
                  add.u32 %c, %a, %c;
                  mov.u32 %d, %t;
                  mov.u32 %i, 0;
                LOOP:
                  st.shared.u32 [%b], %d;
                  bar.sync 0;
                  ld.shared.u32 %d, [%c];
                  bar.sync 0;
                  add.u32 %i, %i, 1;
                  setp.lt.u32 %p, %i, 5;
                  @%p bra LOOP;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(2, 128), i -> (i % 128 + 5) % 128);
    }

    @Test
    void barriersThatVote() {
        check("sm_75", entry("""
                  setp.lt.u32 %p, %t, 37;
                  bar.red.popc.u32 %d, 0, %p;
                  bar.red.or.pred %q, 0, %p;
                  selp.u32 %c, 100, 0, %q;
                  add.u32 %d, %d, %c;
                  bar.red.and.pred %q, 0, !%p;
                  selp.u32 %c, 1000, 0, %q;
                  add.u32 %d, %d, %c;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(1, 96), t -> 137);
    }

    /** Warp 0 produces, warp 1 consumes; the other warps take no part. */
    @Test
    void namedBarriers() {
        check("sm_75", ".shared .align 4 .b8 slot[128];\n" + entry("""
                  mov.u32 %d, 0;
                  shl.b32 %b, %t, 2;
                  and.b32 %b, %b, 127;
                  mov.u32 %a, slot;
                  add.u32 %b, %a, %b;
                  shr.u32 %c, %t, 5;
                  setp.eq.u32 %p, %c, 0;
                  @%p bra PRODUCE;
                  setp.eq.u32 %p, %c, 1;
                  @!%p bra END;
                  bar.sync 3, 64;
                  ld.shared.u32 %d, [%b];
                  bra END;
                PRODUCE:
                  add.u32 %c, %t, 50;
                  st.shared.u32 [%b], %c;
                  bar.arrive 3, 64;
                END:
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(1, 128), t -> t / 32 == 1 ? t % 32 + 50 : 0);
    }

    @Test
    void aBarrierWithThreadsThatHaveEnded() {
        check("sm_75", entry("""
                  setp.ge.u32 %p, %t, 70;
                  @%p exit;
                  bar.sync 0;
                  st.global.u32 [%x], 1;
                  ret;
                """), Launch.of(1, 128), t -> t < 70 ? 1 : 0);
    }

    @Test
    void aBarrierThatNeverCompletes() {
        try (KernelBed bed = new KernelBed("sm_75", entry("""
                  setp.lt.u32 %p, %t, 32;
                  @%p bra ONE;
                  bar.sync 1;
                  bra END;
                ONE:
                  bar.sync 2;
                END:
                  ret;
                """))) {
            DeviceFault fault = assertThrows(DeviceFault.class,
                    () -> bed.launch("k", Launch.of(1, 64), bed.ints(new int[64])));
            assertEquals(DeviceFault.Kind.DEADLOCK, fault.kind());
            assertTrue(fault.getMessage().contains("bar.sync"), fault.getMessage());
        }
    }

    @Test
    void anEndlessLoopMeetsTheLimit() {
        try (KernelBed bed = new KernelBed("sm_75", entry("L: bra L;\n"))) {
            DeviceFault fault = assertThrows(DeviceFault.class,
                    () -> bed.launch("k", Launch.of(1, 64).withLimit(100_000), bed.ints(new int[64])));
            assertEquals(DeviceFault.Kind.LIMIT, fault.kind());
        }
    }

    /** Block 0 spins for a block that does not run before block 0 has ended. */
    @Test
    void spinningForWhatNeverComes() {
        String text = ".global .u32 arrived;\n" + entry("""
                  atom.global.add.u32 %a, [arrived], 1;
                  mov.u32 %c, 0;
                SPIN:
                  xor.b32 %c, %c, 1;
                  ld.volatile.global.u32 %a, [arrived];
                  setp.lt.u32 %q, %a, 128;
                  @%q bra SPIN;
                  ret;
                """);
        for (long seed = 0; seed < 3; seed++) {
            try (KernelBed bed = new KernelBed("sm_75", text)) {
                Launch launch = Launch.of(2, 64).withSeed(seed);
                DeviceFault fault = assertThrows(DeviceFault.class,
                        () -> bed.launch("k", launch, bed.ints(new int[128])));
                assertEquals(DeviceFault.Kind.DEADLOCK, fault.kind());
                assertTrue(fault.getMessage().contains("spin"), fault.getMessage());
            }
            try (KernelBed bed = new KernelBed("sm_75", text)) {
                bed.launch("k", Launch.of(2, 64).withSeed(seed).withCooperative(true), bed.ints(new int[128]));
            }
        }
    }

    /** Long work without a write is no deadlock. */
    @Test
    void countingForLong() {
        check("sm_75", entry("""
                  mov.u32 %c, 0;
                LOOP:
                  add.u32 %c, %c, 1;
                  setp.lt.u32 %p, %c, 300000;
                  @%p bra LOOP;
                  st.global.u32 [%x], %c;
                  ret;
                """), Launch.of(1, 1), t -> 300000);
    }

    @Test
    void tracing() {
        try (KernelBed bed = new KernelBed("sm_75", entry("""
                  setp.lt.u32 %p, %t, 3;
                  @%p bra END;
                  add.u32 %c, %t, 1;
                END:
                  ret;
                """))) {
            java.util.List<String> steps = new java.util.ArrayList<>();
            Entry k = bed.module.entry("k");
            LaunchReport report = bed.device.launch(bed.device.load(bed.module), k, Launch.of(2, 40),
                    bed.block(k, bed.ints(new int[80])), (block, warp, mask, source, instruction) -> steps.add(
                            block + " " + warp + " " + Integer.toHexString(mask) + " " + instruction));
            assertEquals(report.warpInstructions(), steps.size());
            assertTrue(steps.contains("(1, 0, 0) 0 7 @%p bra END"), steps.toString());
            assertTrue(steps.contains("(0, 0, 0) 0 fffffff8 add.u32 %c, %t, 1"), steps.toString());
            assertTrue(steps.contains("(0, 0, 0) 1 ff add.u32 %c, %t, 1"), steps.toString());
        }
    }

    /** All blocks wait for each other with an integer barrier in global memory. */
    @Test
    void cooperativeGrid() {
        check("sm_75", ".global .u32 arrived;\n" + entry("""
                  setp.ne.u32 %p, %t, 0;
                  @%p bra WAIT;
                  membar.gl;
                  atom.global.add.u32 %a, [arrived], 1;
                SPIN:
                  ld.volatile.global.u32 %a, [arrived];
                  mov.u32 %b, %nctaid.x;
                  rem.u32 %a, %a, %b;
                  setp.ne.u32 %q, %a, 0;
                  @%q bra SPIN;
                  membar.gl;
                WAIT:
                  bar.sync 0;
                  st.global.u32 [%x], 1;
                  ret;
                """), Launch.of(12, 64).withCooperative(true), i -> 1);
    }

    @Test
    void clusters() {
        check("sm_90", ".shared .align 4 .b8 slots[256];\n" + entry("""
                  mov.u32 %a, slots;
                  shl.b32 %b, %t, 2;
                  add.u32 %b, %a, %b;
                  mov.u32 %c, %cluster_ctarank;
                  mad.lo.u32 %d, %c, 1000, %t;
                  st.shared.u32 [%b], %d;
                  barrier.cluster.arrive.release;
                  barrier.cluster.wait.acquire;
                  mov.u32 %d, %cluster_nctarank;
                  add.u32 %c, %c, 1;
                  rem.u32 %c, %c, %d;
                  mapa.shared::cluster.u32 %d, %b, %c;
                  ld.shared::cluster.u32 %a, [%d];
                  cvt.u64.u32 %y, %b;
                  cvta.shared.u64 %y, %y;
                  mapa.u64 %y, %y, %c;
                  ld.u32 %d, [%y];
                  add.u32 %d, %d, %a;
                  barrier.cluster.arrive.aligned;
                  barrier.cluster.wait.aligned;
                  st.global.u32 [%x], %d;
                  ret;
                """), Launch.of(8, 64).withCluster(Dim3.of(4)), i -> 2 * ((i / 64 + 1) % 4 * 1000 + i % 64));
    }

    @Test
    void clusterRegisters() {
        String text = entry("""
                  mov.u32 %d, %clusterid.x;
                  mov.u32 %a, %nclusterid.x;
                  mad.lo.u32 %d, %d, 10, %a;
                  mov.u32 %a, %cluster_ctaid.x;
                  mad.lo.u32 %d, %d, 10, %a;
                  mov.u32 %a, %cluster_nctaid.x;
                  mad.lo.u32 %d, %d, 10, %a;
                  st.global.u32 [%x], %d;
                  ret;
                """);
        check("sm_90", text, Launch.of(6, 1).withCluster(Dim3.of(3)), i -> i / 3 * 1000 + 200 + i % 3 * 10 + 3);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 31, 32, 33, 100, 1024})
    void gridsAndBlocksInThreeDimensions(int z) {
        String text = ".visible .entry k(.param .u64 out)\n{\n" + """
                  .reg .b32 %a, %b, %i;
                  .reg .b64 %o, %x;
                  mov.u32 %i, %ctaid.z;
                  mov.u32 %a, %nctaid.y;
                  mov.u32 %b, %ctaid.y;
                  mad.lo.u32 %i, %i, %a, %b;
                  mov.u32 %a, %nctaid.x;
                  mov.u32 %b, %ctaid.x;
                  mad.lo.u32 %i, %i, %a, %b;
                  mov.u32 %a, %ntid.z;
                  mov.u32 %b, %tid.z;
                  mad.lo.u32 %i, %i, %a, %b;
                  mov.u32 %a, %ntid.y;
                  mov.u32 %b, %tid.y;
                  mad.lo.u32 %i, %i, %a, %b;
                  mov.u32 %a, %ntid.x;
                  mov.u32 %b, %tid.x;
                  mad.lo.u32 %i, %i, %a, %b;
                  ld.param.u64 %o, [out];
                  mul.wide.u32 %x, %i, 4;
                  add.u64 %x, %o, %x;
                  st.global.u32 [%x], %i;
                  ret;
                }
                """;
        check("sm_75", text, Launch.of(new Dim3(3, 2, 2), Dim3.of(z)), i -> i);
        check("sm_75", text, Launch.of(new Dim3(2, 1, 3), new Dim3(3, 5, 2)), i -> i);
    }
}
