package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.ptx.Finding.Kind;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Each checker on a bad kernel that it must catch and a good one, as like it as can be, that it must pass. */
class SanitizerTest {
    private static final String HEAD = """
            .extern .shared .align 16 .b8 s[];
            .global .align 4 .u32 flag;
            .global .align 4 .u32 data;
            .visible .entry k(.param .u64 in, .param .u64 out)
            {
              .reg .pred %p, %q;
              .reg .b16 %h;
              .reg .b32 %a, %b, %c, %d, %t, %w, %i;
              .reg .b64 %in, %out, %x, %y;
              ld.param.u64 %in, [in];
              ld.param.u64 %out, [out];
              mov.u32 %t, %tid.x;
              shr.u32 %w, %t, 5;
              mov.u32 %a, %ctaid.x;
              mov.u32 %b, %ntid.x;
              mad.lo.u32 %i, %a, %b, %t;
              mul.wide.u32 %x, %i, 4;
              add.u64 %y, %out, %x;
              add.u64 %x, %in, %x;
              mov.u32 %a, s;
              shl.b32 %b, %t, 2;
              add.u32 %b, %a, %b;
            """;

    /** %b is the thread's own word of shared memory, %x and %y its words of in and out. */
    private static List<Finding> run(String target, Launch launch, String body) {
        int n = (int) (launch.grid().size() * launch.block().size());
        List<Finding> natural = null;
        for (long seed = 0; seed < 6; seed++) {
            try (KernelBed bed = new KernelBed(Device.sanitizing(), target, HEAD + body + "  ret;\n}\n")) {
                long in = bed.ints(new int[n]);
                long out = bed.device.allocate(4L * n);
                List<Finding> found = bed.launch("k", launch.withSharedBytes(8192).withSeed(seed), in, out).findings();
                natural = natural == null ? found : natural;
                assertEquals(kinds(natural), kinds(found), "a verdict that depends on the schedule");
            }
        }
        return natural;
    }

    private static Set<Kind> kinds(List<Finding> findings) {
        return findings.stream().map(Finding::kind).collect(Collectors.toCollection(TreeSet::new));
    }

    private static void good(Launch launch, String body) {
        good("sm_75", launch, body);
    }

    private static void good(String target, Launch launch, String body) {
        assertEquals(List.of(), run(target, launch, body));
    }

    private static List<Finding> bad(Kind kind, Launch launch, String body) {
        return bad("sm_75", kind, launch, body);
    }

    private static List<Finding> bad(String target, Kind kind, Launch launch, String body) {
        List<Finding> findings = run(target, launch, body);
        assertEquals(Set.of(kind), kinds(findings), findings.toString());
        return findings;
    }

    @Test
    void outOfBounds() {
        good(Launch.of(2, 40), "  ld.global.u32 %c, [%x];\n  st.global.u32 [%y], %c;\n");
        List<Finding> found = bad(Kind.OUT_OF_BOUNDS, Launch.of(2, 40),
                "  ld.global.u32 %c, [%x+4];\n  st.global.u32 [%y], %c;\n");
        assertEquals(1, found.size());
        assertEquals(new ThreadLocation.Index(39, 0, 0), found.getFirst().thread().thread());
        assertEquals(new ThreadLocation.Index(1, 0, 0), found.getFirst().thread().block());
        assertEquals(1, found.getFirst().count());
        bad(Kind.OUT_OF_BOUNDS, Launch.of(2, 40), "  st.global.u32 [%y+-4], %t;\n");
        bad(Kind.OUT_OF_BOUNDS, Launch.of(1, 32), "  st.shared.u32 [%b+8100], %t;\n");
        bad(Kind.OUT_OF_BOUNDS, Launch.of(1, 32), "  red.global.add.u32 [%y+128], %t;\n");
    }

    @Test
    void misaligned() {
        good(Launch.of(1, 4), "  ld.global.v2.u32 {%c, %d}, [%in+8];\n");
        bad(Kind.MISALIGNED, Launch.of(1, 4), "  ld.global.v2.u32 {%c, %d}, [%in+4];\n");
        bad(Kind.MISALIGNED, Launch.of(1, 4), "  st.global.u32 [%y+2], %t;\n");
        bad(Kind.MISALIGNED, Launch.of(1, 4), "  st.shared.v4.u32 [%a+8], {%t, %t, %t, %t};\n");
    }

    @Test
    void useAfterFree() {
        try (KernelBed bed =
                new KernelBed(Device.sanitizing(), "sm_75", HEAD + "  ld.global.u32 %c, [%x];\n  ret;\n}\n")) {
            long in = bed.ints(new int[32]);
            assertEquals(List.of(), bed.launch("k", Launch.of(1, 32), in, 0).findings());
            assertEquals(List.of(in), bed.device.live());
            bed.device.free(in);
            assertEquals(Set.of(Kind.USE_AFTER_FREE), kinds(bed.launch("k", Launch.of(1, 32), in, 0).findings()));
            assertEquals(1, bed.device.findings().size());
            assertEquals(32, bed.device.findings().getFirst().count());
            assertEquals(List.of(), bed.device.live());
        }
    }

    @Test
    void uninitialisedMemory() {
        good(Launch.of(1, 64), "  st.shared.u32 [%b], %t;\n  ld.shared.u32 %c, [%b];\n  st.global.u32 [%y], %c;\n");
        bad(Kind.UNINITIALISED, Launch.of(1, 64), "  ld.shared.u32 %c, [%b];\n  st.global.u32 [%y], %c;\n");
        bad(Kind.UNINITIALISED, Launch.of(1, 64), "  st.shared.u16 [%b], 7;\n  ld.shared.u32 %c, [%b];\n");
        try (KernelBed bed = new KernelBed(Device.sanitizing(), "sm_75", HEAD + """
                  ld.global.u32 %c, [%x];
                  st.global.u32 [%y], %c;
                  ret;
                }
                """)) {
            long fresh = bed.device.allocate(128);
            long other = bed.device.allocate(128);
            assertEquals(Set.of(Kind.UNINITIALISED),
                    kinds(bed.launch("k", Launch.of(1, 32), fresh, other).findings()));
            assertEquals(List.of(), bed.launch("k", Launch.of(1, 32), other, fresh).findings());
            long half = bed.device.allocate(128);
            bed.device.memory(half, 64);
            Finding found = bed.launch("k", Launch.of(1, 32), half, other).findings().getFirst();
            assertEquals(16, found.thread().thread().x());
            assertEquals(16, found.count());
        }
    }

    private static final String ZERO = "  st.shared.u32 [%b], 0;\n  bar.sync 0;\n";
    private static final String NEIGHBOUR = """
              xor.b32 %d, %b, 128;
              ld.shared.u32 %c, [%d];
              st.global.u32 [%y], %c;
            """;

    @Test
    void racesInSharedMemory() {
        String write = "  st.shared.u32 [%b], %t;\n";
        good(Launch.of(1, 128), write + "  bar.sync 0;\n" + NEIGHBOUR);
        List<Finding> found = bad(Kind.RACE, Launch.of(1, 128), ZERO + write + NEIGHBOUR + "  bar.sync 0;\n");
        assertTrue(found.getFirst().other() != null, found.toString());
        // Reading, then writing: the next round overtakes the last one.
        String round = write + "  bar.sync 0;\n" + NEIGHBOUR;
        good(Launch.of(1, 128), round + "  bar.sync 0;\n" + round);
        bad(Kind.RACE, Launch.of(1, 128), round + "  add.u32 %t, %t, 1;\n" + round);
        // Different words, and different halves of a word, do not race.
        good(Launch.of(1, 128), """
                  shl.b32 %c, %t, 1;
                  add.u32 %c, %a, %c;
                  st.shared.u16 [%c], 5;
                  ld.shared.u16 %h, [%c];
                  add.u32 %d, %a, 4096;
                  add.u32 %d, %d, %t;
                  st.shared.u8 [%d], %t;
                """);
        bad(Kind.RACE, Launch.of(1, 128), "  and.b32 %c, %b, -8;\n  st.shared.u32 [%c], %t;\n");
        good(Launch.of(1, 128), "  and.b32 %c, %b, -8;\n  st.shared.u32 [%c], 1;\n"); // they agree
    }

    @Test
    void racesWithinAWarp() {
        String write = "  st.shared.u32 [%b], %t;\n";
        String read = "  xor.b32 %d, %b, 4;\n  ld.shared.u32 %c, [%d];\n";
        good(Launch.of(1, 32), write + "  bar.warp.sync 0xffffffff;\n" + read);
        bad(Kind.RACE, Launch.of(1, 32), write + read);
        // A shuffle is no barrier for memory.
        bad(Kind.RACE, Launch.of(1, 32), write + "  shfl.sync.bfly.b32 %c|%p, %t, 1, 31, 0xffffffff;\n" + read);
        // A barrier of half a warp orders only that half.
        String halves = """
                  setp.lt.u32 %p, %t, 16;
                  mov.u32 %d, 0xffff0000;
                  @%p mov.u32 %d, 0x0000ffff;
                  st.shared.u32 [%b], %t;
                  @%p bra ONE;
                  bar.warp.sync 0xffff0000;
                  bra BOTH;
                ONE:
                  bar.warp.sync 0x0000ffff;
                BOTH:
                """;
        good(Launch.of(1, 32), halves + read);
        bad(Kind.RACE, Launch.of(1, 32), halves + read.replace(", 4;", ", 64;"));
    }

    @Test
    void racesInGlobalMemory() {
        good(Launch.of(4, 32), "  st.global.u32 [%y], %t;\n  ld.global.u32 %c, [%y];\n");
        bad(Kind.RACE, Launch.of(4, 1), "  st.global.u32 [%out], %i;\n");
        good(Launch.of(4, 32), "  red.global.add.u32 [flag], 1;\n  atom.global.max.u32 %c, [flag], %t;\n");
        bad(Kind.RACE, Launch.of(4, 1), """
                  ld.global.u32 %c, [flag];
                  add.u32 %c, %c, 1;
                  st.global.u32 [flag], %c;
                """);
        bad(Kind.RACE, Launch.of(4, 1), "  red.global.add.u32 [flag], 1;\n  ld.global.u32 %c, [flag];\n");
        good(Launch.of(4, 1), "  red.global.add.u32 [flag], 1;\n  ld.volatile.global.u32 %c, [flag];\n");
        bad(Kind.RACE, Launch.of(1, 64), "  setp.ne.u32 %p, %t, 0;\n  @!%p st.global.u32 [data], %t;\n"
                + "  @%p ld.global.u32 %c, [data];\n");
    }

    /** Block 0 writes data and raises a flag, the others wait for it and read. */
    private static String message(String release, String raise, String look, String acquire) {
        return """
                  mov.u32 %%c, %%ctaid.x;
                  setp.ne.u32 %%p, %%c, 0;
                  @%%p bra WAIT;
                  mov.u32 %%d, 1;
                  st.global.u32 [data], %%i;
                  %s
                  %s
                  bra END;
                WAIT:
                  %s
                  setp.eq.u32 %%q, %%c, 0;
                  @%%q bra WAIT;
                  %s
                  ld.global.u32 %%c, [data];
                END:
                """.formatted(release, raise, look, acquire);
    }

    @Test
    void messagesBetweenBlocks() {
        Launch launch = Launch.of(3, 1).withCooperative(true);
        String fence = "membar.gl;";
        String raise = "st.volatile.global.u32 [flag], %d;";
        String look = "ld.volatile.global.u32 %c, [flag];";
        good(launch, message(fence, raise, look, fence));
        bad(Kind.RACE, launch, message("", raise, look, fence));
        bad(Kind.RACE, launch, message(fence, raise, look, ""));
        bad(Kind.RACE, launch, message("membar.cta;", raise, look, fence));
        bad(Kind.RACE, launch, message("membar.cta;", raise, look, fence));
        good(launch, message(fence, "atom.global.exch.b32 %d, [flag], %d;", look, fence));
        good(launch, message("", "st.release.gpu.global.u32 [flag], %d;", "ld.acquire.gpu.global.u32 %c, [flag];", ""));
        good(launch, message("fence.acq_rel.gpu;", "st.relaxed.gpu.global.u32 [flag], %d;",
                "ld.relaxed.gpu.global.u32 %c, [flag];", "fence.acq_rel.gpu;"));
        bad(Kind.RACE, launch, message("", "st.relaxed.gpu.global.u32 [flag], %d;",
                "ld.acquire.gpu.global.u32 %c, [flag];", ""));
        good(launch, message("", "red.release.gpu.global.add.u32 [flag], %d;",
                "atom.acquire.gpu.global.or.b32 %c, [flag], 0;", ""));
    }

    /** What is written after the flag was raised is not part of the message. */
    @Test
    void whatFollowsAMessage() {
        String send = message("membar.gl;", "st.volatile.global.u32 [flag], %d;\n  st.global.u32 [data], 5;",
                "ld.volatile.global.u32 %c, [flag];", "membar.gl;");
        bad(Kind.RACE, Launch.of(3, 1).withCooperative(true), send);
        bad(Kind.RACE, Launch.of(3, 1).withCooperative(true), send.replace("membar.gl", "fence.acq_rel.gpu"));
    }

    private static String gridBarrier(String fence) {
        return """
                  st.global.u32 [%%y], %%i;
                  bar.sync 0;
                  setp.ne.u32 %%p, %%t, 0;
                  @%%p bra WAIT;
                  %1$s
                  atom.global.add.u32 %%c, [flag], 1;
                SPIN:
                  ld.volatile.global.u32 %%c, [flag];
                  rem.u32 %%c, %%c, 6;
                  setp.ne.u32 %%q, %%c, 0;
                  @%%q bra SPIN;
                  %1$s
                WAIT:
                  bar.sync 0;
                  mov.u32 %%c, %%ntid.x;
                  mad.lo.u32 %%c, %%c, 5, %%t;
                  mul.wide.u32 %%x, %%c, 4;
                  add.u64 %%x, %%out, %%x;
                  ld.global.u32 %%d, [%%x];
                """.formatted(fence);
    }

    @Test
    void gridBarriers() {
        good(Launch.of(6, 64).withCooperative(true), gridBarrier("membar.gl;"));
        bad(Kind.RACE, Launch.of(6, 64).withCooperative(true), gridBarrier(""));
    }

    /** The last block to arrive adds up what all blocks have written. */
    private static String lastBlock(String fence, String fenceAfter) {
        return """
                  st.global.u32 [%%y], %%i;
                  %1$s
                  bar.sync 0;
                  setp.ne.u32 %%p, %%t, 0;
                  @%%p bra WAIT;
                  atom.global.inc.u32 %%c, [flag], 5;
                  st.shared.u32 [%%a], %%c;
                WAIT:
                  bar.sync 0;
                  ld.shared.u32 %%c, [%%a];
                  setp.ne.u32 %%p, %%c, 5;
                  @%%p bra END;
                  %2$s
                  mov.u32 %%d, 0;
                LOOP:
                  mov.u32 %%w, %%ntid.x;
                  mad.lo.u32 %%w, %%d, %%w, %%t;
                  mul.wide.u32 %%x, %%w, 4;
                  add.u64 %%x, %%out, %%x;
                  ld.global.u32 %%w, [%%x];
                  add.u32 %%d, %%d, 1;
                  setp.lt.u32 %%p, %%d, 6;
                  @%%p bra LOOP;
                END:
                """.formatted(fence, fenceAfter);
    }

    @Test
    void theLastBlockReadsWhatAllHaveWritten() {
        good(Launch.of(6, 64), lastBlock("membar.gl;", "membar.gl;"));
        good(Launch.of(6, 64), lastBlock("fence.sc.gpu;", "fence.sc.gpu;"));
        bad(Kind.RACE, Launch.of(6, 64), lastBlock("", "membar.gl;"));
        bad(Kind.RACE, Launch.of(6, 64), lastBlock("membar.gl;", ""));
        bad(Kind.RACE, Launch.of(6, 64), lastBlock("membar.cta;", "membar.gl;"));
        bad(Kind.RACE, Launch.of(6, 64), lastBlock("fence.acq_rel.gpu;", "fence.acq_rel.gpu;"));
    }

    @Test
    void namedBarriers() {
        String consume = """
                  xor.b32 %d, %b, 128;
                  setp.eq.u32 %p, %w, 0;
                  @%p bra PRODUCE;
                  setp.ne.u32 %p, %w, 1;
                  @%p bra END;
                  BARRIER
                  ld.shared.u32 %c, [%d];
                  bra END;
                PRODUCE:
                  st.shared.u32 [%b], %t;
                  bar.arrive 1, 64;
                END:
                """;
        good(Launch.of(1, 128), consume.replace("BARRIER", "bar.sync 1, 64;"));
        // The consumer of another barrier does not learn what was produced.
        String other = consume.replace("bar.arrive 1, 64;", "bar.sync 2, 64;\n  ld.shared.u32 %c, [%d];");
        List<Finding> found = run("sm_75", Launch.of(1, 64),
                other.replace("BARRIER", "st.shared.u32 [%b], %t;\n  bar.sync 2, 64;"));
        assertEquals(List.of(), found);
        bad(Kind.RACE, Launch.of(1, 128), ZERO + """
                  st.shared.u32 [%b], %t;
                  setp.ge.u32 %p, %w, 2;
                  @%p bra HIGH;
                  bar.sync 1, 64;
                  bra BOTH;
                HIGH:
                  bar.sync 2, 64;
                BOTH:
                  xor.b32 %d, %b, 256;
                  ld.shared.u32 %c, [%d];
                """);
    }

    @Test
    void divergentBarriers() {
        good(Launch.of(1, 96), "  bar.sync 0;\n");
        String branch = "  setp.lt.u32 %%p, %%t, %d;\n  @%%p bra ONE;\n  bar.sync 0;\n  bra BOTH;\nONE:\n"
                + "  bar.sync 0;\nBOTH:\n";
        bad(Kind.DIVERGENT_BARRIER, Launch.of(1, 96), branch.formatted(48));
        bad(Kind.DIVERGENT_BARRIER, Launch.of(1, 96), branch.formatted(64));
        good(Launch.of(1, 96), branch.formatted(96));
        bad(Kind.DIVERGENT_BARRIER, Launch.of(1, 96), "  setp.ge.u32 %p, %t, 70;\n  @%p exit;\n  bar.sync 0;\n");
        good(Launch.of(1, 96), "  bar.sync 0;\n  setp.ge.u32 %p, %t, 70;\n  @%p exit;\n");
    }

    @Test
    void divergentBarriersThatNeverComplete() {
        for (String body : List.of("  setp.ge.u32 %p, %t, 7;\n  @%p bar.sync 0;\n", """
                  setp.ge.u32 %p, %t, 7;
                  @%p bra ONE;
                  bar.sync 0;
                ONE:
                  bar.sync 1;
                """)) {
            try (KernelBed bed = new KernelBed(Device.sanitizing(), "sm_75", HEAD + body + "  ret;\n}\n")) {
                assertThrows(DeviceFault.class, () -> bed.launch("k", Launch.of(1, 32).withSharedBytes(64), 0, 0));
                assertEquals(Set.of(Kind.DIVERGENT_BARRIER), kinds(bed.device.findings()));
            }
        }
    }

    @Test
    void undefinedShuffles() {
        String shuffle = """
                  setp.ge.u32 %%p, %%t, 16;
                  @%%p bra END;
                  shfl.sync.down.b32 %%c|%%q, %%t, %d, 31, 0x0000ffff;
                END:
                """;
        bad(Kind.UNDEFINED_SHUFFLE, Launch.of(1, 32), shuffle.formatted(4));
        good(Launch.of(1, 32), shuffle.formatted(0));
    }

    private static String cluster(String before, String after) {
        return """
                  st.shared.u32 [%%b], %%t;
                  %s
                  mov.u32 %%c, %%cluster_ctarank;
                  xor.b32 %%c, %%c, 1;
                  mapa.shared::cluster.u32 %%d, %%b, %%c;
                  ld.shared::cluster.u32 %%c, [%%d];
                  %s
                """.formatted(before, after);
    }

    @Test
    void clusters() {
        Launch launch = Launch.of(4, 64).withCluster(Dim3.of(2));
        String sync = "barrier.cluster.arrive;\n  barrier.cluster.wait;\n";
        good("sm_90", launch, cluster(sync, sync));
        bad("sm_90", Kind.ABSENT_BLOCK, launch, cluster(sync, ""));
        assertTrue(kinds(run("sm_90", launch, cluster("", sync))).contains(Kind.ABSENT_BLOCK));
        // Only the block's own barrier: the neighbour's writes are not ordered.
        bad("sm_90", Kind.RACE, launch, ZERO + sync + cluster("bar.sync 0;", sync));
        // What a relaxed arrival leaves out.
        bad("sm_90", Kind.RACE, launch,
                ZERO + sync + cluster("barrier.cluster.arrive.relaxed;\n  barrier.cluster.wait;\n", sync));
    }

    @Test
    void asynchronousCopies() {
        String copy = ZERO.replace("%b", "%%b") + """
                  add.u32 %%d, %%b, 256;
                  st.shared.u32 [%%d], 0;
                  bar.sync 0;
                  and.b32 %%c, %%t, 31;
                  shl.b32 %%c, %%c, 4;
                  add.u32 %%c, %%a, %%c;
                  setp.ge.u32 %%p, %%t, 16;
                  @!%%p cp.async.ca.shared.global [%%c], [%%in], 16;
                  cp.async.commit_group;
                  cp.async.wait_group 0;
                  %s
                  ld.shared.u32 %%d, [%%a+8];
                """;
        good("sm_80", Launch.of(1, 64), copy.formatted("bar.sync 0;"));
        assertTrue(kinds(run("sm_80", Launch.of(1, 64), copy.formatted(""))).contains(Kind.RACE));
    }

    @Test
    void nothingIsWatchedUnasked() {
        try (KernelBed bed = new KernelBed("sm_75", HEAD + "  ld.shared.u32 %c, [%b];\n  ret;\n}\n")) {
            LaunchReport report = bed.launch("k", Launch.of(1, 32).withSharedBytes(128), 0, 0);
            assertEquals(List.of(), report.findings());
        }
    }
}
