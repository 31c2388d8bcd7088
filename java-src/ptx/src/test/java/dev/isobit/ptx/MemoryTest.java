package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.LongBinaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Loads, stores, atomics, variables, and what happens outside them. */
class MemoryTest {
    private static String kernel(String body) {
        return """
                .visible .entry k(.param .u64 in, .param .u64 out)
                {
                  .reg .pred %p;
                  .reg .b16 %h, %h1, %h2, %h3;
                  .reg .b32 %a, %b, %c, %d, %t;
                  .reg .f32 %f, %f1, %f2, %f3;
                  .reg .b64 %i, %o, %x, %y;
                  mov.u32 %t, %tid.x;
                  ld.param.u64 %i, [in];
                  ld.param.u64 %o, [out];
                """ + body + "  ret;\n}\n";
    }

    private static int[] run(String target, String text, Launch launch, int[] in, int out) {
        try (KernelBed bed = new KernelBed(target, text)) {
            long input = bed.ints(in);
            long output = bed.ints(new int[out]);
            bed.launch("k", launch, input, output);
            return bed.read(output, out);
        }
    }

    @ParameterizedTest
    @CsvSource({"s8,-2", "u8,254", "b8,254", "s16,-2", "u16,65534", "s32,-2", "u32,-2"})
    void narrowLoadsExtend(String type, int expected) {
        String text = kernel("  ld.global." + type + " %d, [%i+4];\n  st.global.u32 [%o], %d;\n"
                + "  ld.global." + type + " %y, [%i+4];\n  st.global.u64 [%o+8], %y;\n");
        int[] got = run("sm_75", text, Launch.of(1, 1), new int[] {0, -2}, 4);
        assertArrayEquals(new int[] {expected, 0, expected, expected < 0 && !type.startsWith("u") ? -1 : 0}, got);
    }

    @Test
    void narrowLoadsIntoSixteenBits() {
        int[] got = run("sm_75", kernel("""
                  ld.global.s8 %h, [%i];
                  cvt.u32.u16 %d, %h;
                  st.global.u32 [%o], %d;
                  st.global.u8 [%o+5], %h;
                  st.global.u16 [%o+8], %h;
                """), Launch.of(1, 1), new int[] {0x80}, 3);
        assertArrayEquals(new int[] {0xff80, 0x8000, 0xff80}, got);
    }

    @Test
    void vectors() {
        int[] got = run("sm_75", kernel("""
                  ld.global.v4.f32 {%f, %f1, %f2, %f3}, [%i+16];
                  st.global.cs.v4.f32 [%o], {%f3, %f2, %f1, %f};
                  ld.global.nc.v2.u64 {%x, %y}, [%i];
                  st.global.v2.b64 [%o+16], {%y, %x};
                  ld.global.nc.L1::no_allocate.v4.b16 {%h, %h1, %h2, %h3}, [%i];
                  st.global.v4.b16 [%o+32], {%h1, %h, %h3, %h2};
                  ld.global.v2.b32 {%a, _}, [%i];
                  st.global.b32 [%o+40], %a;
                """), Launch.of(1, 1), new int[] {1, 2, 3, 4, 5, 6, 7, 8}, 12);
        assertArrayEquals(new int[] {8, 7, 6, 5, 3, 4, 1, 2, 0x10000, 0x20000, 1, 0}, got);
    }

    @Test
    void variables() {
        String text = """
                .const .align 4 .b8 table[16] = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0};
                .const .f32 halves[2] = {0.5, 0f3F000000};
                .global .align 4 .u32 number = 77;
                .global .align 4 .s32 square[2][2] = {{1, -2}, {3}};
                .global .align 8 .u64 pointers[2] = {generic(table)+4, number};
                """ + kernel("""
                  ld.const.u32 %a, [table+8];
                  st.global.u32 [%o], %a;
                  ld.global.u64 %x, [pointers];
                  ld.u32 %a, [%x];
                  st.global.u32 [%o+4], %a;
                  ld.global.u64 %x, [pointers+8];
                  ld.global.u32 %a, [%x];
                  st.global.u32 [%o+8], %a;
                  mov.u64 %x, square;
                  ld.global.s32 %a, [%x+4];
                  st.global.u32 [%o+12], %a;
                  ld.const.f32 %f, [halves];
                  ld.const.f32 %f1, [halves+4];
                  add.rn.f32 %f, %f, %f1;
                  st.global.f32 [%o+16], %f;
                  mov.u64 %x, table;
                  cvta.const.u64 %x, %x;
                  ld.u32 %a, [%x+12];
                  st.global.u32 [%o+20], %a;
                  ld.global.s32 %a, [square+12];
                  st.global.u32 [%o+24], %a;
                """);
        int[] got = run("sm_75", text, Launch.of(1, 1), new int[1], 7);
        assertArrayEquals(new int[] {3, 2, 77, -2, Float.floatToRawIntBits(1f), 4, 0}, got);
    }

    @Test
    void sharedAndLocalMemory() {
        String text = ".extern .shared .align 16 .b8 dynamic[];\n.shared .align 4 .b8 fixed[64];\n" + kernel("""
                  .local .align 8 .b8 own[24];
                  shl.b32 %a, %t, 2;
                  mov.u32 %b, fixed;
                  add.u32 %b, %b, %a;
                  st.shared.u32 [%b], %t;
                  mov.u32 %b, dynamic;
                  add.u32 %b, %b, %a;
                  add.u32 %c, %t, 100;
                  st.shared.u32 [%b], %c;
                  mov.u64 %x, own;
                  cvta.local.u64 %y, %x;
                  add.u32 %c, %t, 1000;
                  st.u32 [%y+8], %c;
                  bar.sync 0;
                  xor.b32 %a, %a, 4;
                  mov.u32 %b, fixed;
                  add.u32 %b, %b, %a;
                  ld.shared.u32 %c, [%b];
                  mov.u64 %x, dynamic;
                  cvta.shared.u64 %x, %x;
                  cvt.u64.u32 %y, %a;
                  add.u64 %x, %x, %y;
                  ld.u32 %b, [%x];
                  add.u32 %c, %c, %b;
                  ld.local.u32 %b, [own+8];
                  add.u32 %c, %c, %b;
                  mul.wide.u32 %x, %t, 4;
                  add.u64 %o, %o, %x;
                  st.global.u32 [%o], %c;
                """);
        int[] got = run("sm_75", text, Launch.of(1, 16).withSharedBytes(64), new int[1], 16);
        for (int t = 0; t < 16; t++) {
            assertEquals((t ^ 1) * 2 + 100 + t + 1000, got[t]);
        }
    }

    @Test
    void addressSpaces() {
        String text = ".shared .align 4 .b8 s[4];\n.const .align 4 .b8 c[4];\n" + kernel("""
                  .local .align 4 .b8 l[4];
                  mov.u64 %x, s;
                  cvta.shared.u64 %x, %x;
                  isspacep.shared %p, %x;
                  selp.u32 %d, 1, 0, %p;
                  isspacep.global %p, %x;
                  selp.u32 %a, 2, 0, %p;
                  add.u32 %d, %d, %a;
                  mov.u64 %x, l;
                  cvta.local.u64 %x, %x;
                  isspacep.local %p, %x;
                  selp.u32 %a, 4, 0, %p;
                  add.u32 %d, %d, %a;
                  isspacep.global %p, %i;
                  selp.u32 %a, 8, 0, %p;
                  add.u32 %d, %d, %a;
                  mov.u64 %x, c;
                  cvta.const.u64 %x, %x;
                  isspacep.const %p, %x;
                  selp.u32 %a, 16, 0, %p;
                  add.u32 %d, %d, %a;
                  st.global.u32 [%o], %d;
                """);
        assertArrayEquals(new int[] {29}, run("sm_75", text, Launch.of(1, 1), new int[1], 1));
    }

    @Test
    void asynchronousCopiesArriveWhenTheyAreWaitedFor() {
        String text = ".shared .align 16 .b8 s[64];\n" + kernel("""
                  mov.u32 %a, s;
                  st.shared.u32 [%a], 5;
                  cp.async.ca.shared.global [%a], [%i], 16;
                  cp.async.commit_group;
                  ld.shared.u32 %b, [%a];
                  st.global.u32 [%o], %b;
                  cp.async.cg.shared.global [%a+16], [%i+16], 16, 8;
                  cp.async.commit_group;
                  cp.async.wait_group 1;
                  ld.shared.u32 %b, [%a];
                  st.global.u32 [%o+4], %b;
                  cp.async.wait_all;
                  ld.shared.u32 %b, [%a+20];
                  st.global.u32 [%o+8], %b;
                  ld.shared.u32 %b, [%a+24];
                  st.global.u32 [%o+12], %b;
                """);
        assertArrayEquals(new int[] {5, 1, 6, 0},
                run("sm_80", text, Launch.of(1, 1), new int[] {1, 2, 3, 4, 5, 6, 7, 8}, 4));
    }

    private static void atomic(String op, String type, int start, int b, int expected) {
        String text = kernel("  mov.u32 %b, " + b + ";\n  atom.global." + op + "." + type
                + " %d, [%i], %b;\n  st.global.u32 [%o], %d;\n  ld.global.u32 %d, [%i];\n  st.global.u32 [%o+4], %d;\n");
        assertArrayEquals(new int[] {start, expected}, run("sm_75", text, Launch.of(1, 1), new int[] {start}, 2),
                op + type);
    }

    @Test
    void atomics() {
        atomic("add", "u32", 5, 7, 12);
        atomic("add", "s32", 5, -7, -2);
        atomic("and", "b32", 0b1100, 0b1010, 0b1000);
        atomic("or", "b32", 0b1100, 0b1010, 0b1110);
        atomic("xor", "b32", 0b1100, 0b1010, 0b0110);
        atomic("exch", "b32", 1, 2, 2);
        atomic("min", "s32", 3, -4, -4);
        atomic("min", "u32", 3, -4, 3);
        atomic("max", "s32", 3, -4, 3);
        atomic("max", "u32", 3, -4, -4);
        atomic("inc", "u32", 3, 4, 4);
        atomic("inc", "u32", 4, 4, 0);
        atomic("inc", "u32", 5, 4, 0);
        atomic("dec", "u32", 3, 4, 2);
        atomic("dec", "u32", 0, 4, 4);
        atomic("dec", "u32", 5, 4, 4);
    }

    @Test
    void atomicsOfManyThreads() {
        String text = ".shared .align 4 .u32 count;\n" + kernel("""
                  setp.ne.u32 %p, %t, 0;
                  @!%p st.shared.u32 [count], 0;
                  bar.sync 0;
                  red.shared.add.u32 [count], 1;
                  cvt.u64.u32 %x, %t;
                  red.global.add.u64 [%o+8], %x;
                  atom.global.cas.b64 %y, [%o+16], 0, %x;
                  red.relaxed.gpu.global.max.u32 [%o+24], %t;
                  bar.sync 0;
                  ld.shared.u32 %a, [count];
                  @!%p st.global.u32 [%o], %a;
                """);
        for (long seed = 0; seed < 4; seed++) {
            int[] got = run("sm_75", text, Launch.of(1, 100).withSeed(seed), new int[1], 8);
            assertEquals(100, got[0]);
            assertEquals(4950, got[2]);
            assertTrue(got[4] > 0 && got[4] < 100);
            assertEquals(99, got[6]);
        }
    }

    @Test
    void aStructByValue() {
        String text = """
                .visible .entry k(.param .align 8 .b8 p[32], .param .u16 q)
                {
                  .reg .b16 %h;
                  .reg .b32 %a, %b;
                  .reg .b64 %x, %y;
                  ld.param.u64 %x, [p];
                  ld.param.u32 %a, [p+12];
                  mov.b64 %y, p;
                  ld.param.u32 %b, [%y+16];
                  add.u32 %a, %a, %b;
                  cvta.param.u64 %y, %y;
                  ld.u32 %b, [%y+20];
                  add.u32 %a, %a, %b;
                  ld.param.u16 %h, [q];
                  cvt.u32.u16 %b, %h;
                  add.u32 %a, %a, %b;
                  st.global.u32 [%x], %a;
                  ret;
                }
                """;
        try (KernelBed bed = new KernelBed("sm_75", text); Arena arena = Arena.ofConfined()) {
            Entry entry = bed.module.entry("k");
            assertEquals(34, entry.parameterBytes());
            long out = bed.ints(0);
            MemorySegment p = arena.allocate(40, 8);
            p.set(ValueLayout.JAVA_LONG, 0, out);
            p.set(ValueLayout.JAVA_INT, 12, 1);
            p.set(ValueLayout.JAVA_INT, 16, 20);
            p.set(ValueLayout.JAVA_INT, 20, 300);
            p.set(ValueLayout.JAVA_SHORT, 32, (short) 4000);
            LaunchReport report = bed.device.launch(entry, Launch.of(1, 1), p);
            assertArrayEquals(new int[] {4321}, bed.read(out, 1));
            assertEquals(4, report.bytesWritten().get(Space.GLOBAL));
            assertEquals(22, report.bytesRead().get(Space.PARAM));
            assertEquals(11 + 2, report.threadInstructions());
        }
    }

    /** All of two warps at one address, pairs at one each, each thread at its own. */
    @Test
    void bytesReadTogether() {
        for (int shift : new int[] {6, 1, 0}) {
            String body = """
                      shr.u32 %%a, %%t, %d;
                      mul.wide.u32 %%x, %%a, 4;
                      add.u64 %%x, %%x, %%i;
                      ld.global.u32 %%b, [%%x];
                    """.formatted(shift);
            try (KernelBed bed = new KernelBed("sm_75", kernel(body))) {
                LaunchReport report = bed.launch("k", Launch.of(1, 64), bed.ints(new int[64]), 0);
                assertEquals(4 * 64, report.bytesRead().get(Space.GLOBAL));
                assertEquals(shift == 6 ? 4 * 62 : shift == 1 ? 4 * 32 : 0, report.bytesReadTogether());
            }
        }
    }

    @Test
    void mappedMemoryIsTheCallers() {
        try (KernelBed bed = new KernelBed("sm_75", kernel("  st.global.u32 [%i], 9;\n"));
                Arena arena = Arena.ofShared()) {
            MemorySegment mine = arena.allocate(4);
            long address = bed.device.map(mine);
            bed.launch("k", Launch.of(1, 1), address, 0);
            assertEquals(9, mine.get(ValueLayout.JAVA_INT, 0));
            bed.device.free(address);
            assertThrows(IllegalArgumentException.class, () -> bed.device.free(address));
        }
    }

    private static DeviceFault fault(String body, LongBinaryOperator address) {
        try (KernelBed bed = new KernelBed("sm_75", kernel(body))) {
            long in = bed.ints(1, 2, 3);
            long gone = bed.ints(1, 2, 3);
            bed.device.free(gone);
            return assertThrows(DeviceFault.class,
                    () -> bed.launch("k", Launch.of(2, 40), address.applyAsLong(in, gone), 0));
        }
    }

    @Test
    void faults() {
        DeviceFault past = fault("  ld.global.u32 %a, [%i+12];\n", (in, gone) -> in);
        assertEquals(DeviceFault.Kind.OUT_OF_BOUNDS, past.kind());
        assertEquals(new ThreadLocation.Index(0, 0, 0), past.thread().block());
        assertTrue(past.getMessage().contains("ld.global.u32"), past.getMessage());
        assertEquals(DeviceFault.Kind.OUT_OF_BOUNDS, fault("  ld.global.u32 %a, [%i];\n", (in, gone) -> 0).kind());
        assertEquals(DeviceFault.Kind.OUT_OF_BOUNDS,
                fault("  ld.global.u32 %a, [%i+-4];\n", (in, gone) -> in).kind());
        assertEquals(DeviceFault.Kind.MISALIGNED, fault("  ld.global.u32 %a, [%i+2];\n", (in, gone) -> in).kind());
        assertEquals(DeviceFault.Kind.MISALIGNED,
                fault("  ld.global.v2.u32 {%a, %b}, [%i+4];\n", (in, gone) -> in).kind());
        assertEquals(DeviceFault.Kind.USE_AFTER_FREE,
                fault("  st.global.u32 [%i], 1;\n", (in, gone) -> gone).kind());
        assertEquals(DeviceFault.Kind.TRAP, fault("  trap;\n", (in, gone) -> in).kind());
        DeviceFault thread = fault("  setp.eq.u32 %p, %t, 35;\n  @%p st.shared.u32 [%a+64], 1;\n", (in, gone) -> in);
        assertEquals(DeviceFault.Kind.OUT_OF_BOUNDS, thread.kind());
        assertEquals(new ThreadLocation.Index(35, 0, 0), thread.thread().thread());
    }
}
