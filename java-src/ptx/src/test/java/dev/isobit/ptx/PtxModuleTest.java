package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Reading of PTX texts: what is accepted, what is refused, and where it says it is. */
class PtxModuleTest {
    private static final String HEAD = ".version 8.3\n.target sm_90\n.address_size 64\n";

    private static PtxSyntaxException refused(String body) {
        return assertThrows(PtxSyntaxException.class, () -> PtxModule.parse(HEAD + ".visible .entry k()\n{\n"
                + ".reg .pred %p;\n.reg .b32 %a, %b, %c; .reg .s32 %s;\n.reg .f32 %f, %g;\n.reg .b64 %x;\n" + body
                + "\n}\n"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"wgmma.fence.sync.aligned;", "ex2.approx.f32 %f, %g;", "div.approx.f32 %f, %f, %g;",
        "div.full.f32 %f, %f, %g;", "rsqrt.approx.f32 %f, %g;", "tex.1d.v4.f32.s32 {%f, %f, %f, %f}, [%x, {%a}];",
        "atom.global.add.f32 %f, [%x], %g;", "red.global.add.f32 [%x], %g;", "add.rn.relu.f32 %f, %f, %g;",
        "add.s32.wrap %a, %a, %b;", "mov.u32 %a, %pm0;", "call %x, ();", "vadd4.s32.s32.s32 %a, %a, %b, %c;",
        "mma.sync %a;", "add.s32 %a, %b;", "add.s32 %a, %b, %x;", "add.f32 %f, %s, %g;", "ld.global.u32 %a, [%f];",
        "ld.global.v2.u32 %a, [%x];", "st.shared.tensor [%a], %b;", "shfl.up.b32 %a, %b, 1, 31;",
        "fma.f32 %f, %f, %f, %f;", "cvt.f32.f64 %f, %x;", "cvt.rni.f32.f64 %f, %x;"})
    void refusesWhatItDoesNotExecute(String instruction) {
        PtxSyntaxException refusal = refused(instruction);
        assertEquals(10, refusal.line());
        assertTrue(refusal.getMessage().startsWith("PTX line 10: "), refusal.getMessage());
    }

    @Test
    void namesTheInstruction() {
        assertEquals("PTX line 10: frobnicate.b32: unknown instruction",
                refused("frobnicate.b32 %a, %b;").getMessage());
    }

    @Test
    void refusesAFunctionThatNobodyCalls() {
        assertThrows(PtxSyntaxException.class,
                () -> PtxModule.parse(HEAD + ".func f()\n{\n.reg .f32 %f;\nsin.approx.f32 %f, %f;\nret;\n}\n"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"add.s32 %a, %b, %z;", "bra NOWHERE;", "add.s32 %a %b;", "add.s32 %a, %b, %c",
        "L: L: ret;", "@%a ret;", ".reg .b32 %a;", "call nobody, ();", "ld.global.u32 %a, [%x", "/* open",
        "mov.u32 %a, 0xzz;"})
    void refusesWhatIsMalformed(String text) {
        refused(text);
    }

    @Test
    void refusesRecursion() {
        assertThrows(PtxSyntaxException.class, () -> PtxModule.parse(HEAD
                + ".func g();\n.func f()\n{\ncall g, ();\nret;\n}\n.func g()\n{\ncall f, ();\nret;\n}\n"));
    }

    @Test
    void describesEntries() {
        PtxModule module = Assembler.load("""
                .version 7.8
                .target sm_90
                .address_size 64
                .visible .entry a(.param .u32 x, .param .align 16 .b8 s[20], .param .u64 .ptr .global .align 16 y)
                .maxntid 256, 2, 1
                .minnctapersm 2
                { ret; }
                .shared .align 16 .b8 tile[48];
                .visible .entry b()
                .reqntid 64, 1, 1
                .explicitcluster
                .reqnctapercluster 2, 1, 1
                {
                  .reg .b32 %r;
                  .pragma "nounroll";
                  st.shared.u32 [tile], 1;
                  ret;
                }
                """);
        assertEquals("7.8", module.version());
        assertEquals("sm_90", module.target());
        assertEquals(2, module.entries().size());
        Entry a = module.entry("a");
        assertEquals(java.util.List.of(new Entry.Parameter("x", 0, 4, 4), new Entry.Parameter("s", 16, 20, 16),
                new Entry.Parameter("y", 40, 8, 8)), a.parameters());
        assertEquals(48, a.parameterBytes());
        assertEquals(512, a.maxThreads());
        assertNull(a.requiredCluster());
        Entry b = module.entry("b");
        assertEquals(48, b.sharedBytes());
        assertEquals(Dim3.of(64), b.requiredBlock());
        assertEquals(Dim3.of(2), b.requiredCluster());
        assertThrows(IllegalArgumentException.class, () -> module.entry("c"));
        try (KernelBed bed = new KernelBed(module)) {
            assertThrows(IllegalArgumentException.class, () -> bed.launch("a", Launch.of(1, 513)));
            assertThrows(IllegalArgumentException.class, () -> bed.launch("b", Launch.of(2, 64)));
            assertThrows(IllegalArgumentException.class,
                    () -> bed.launch("b", Launch.of(2, 32).withCluster(Dim3.of(2))));
            bed.launch("b", Launch.of(2, 64).withCluster(Dim3.of(2)));
        }
    }

    @Test
    void tellsTheSourceLine() {
        PtxModule module = Assembler.load("""
                .version 8.3
                .target sm_75
                .address_size 64
                .visible .entry k()
                {
                  .reg .b64 %x;
                  .loc 1 12 3
                  mov.u64 %x, 8;
                  .loc 1 13 5
                  .loc 2 40 7, function_name $name, inlined_at 1 13 5
                  st.global.u32 [%x], 1;
                  ret;
                }
                  .file 1 "kernels/demo.cu"
                  .file 2 "kernels/inner.cuh"
                .section .debug_str
                {
                $name:
                .b8 95,0
                }
                """);
        try (KernelBed bed = new KernelBed(module)) {
            DeviceFault fault = assertThrows(DeviceFault.class, () -> bed.launch("k", Launch.of(1, 1)));
            SourceLocation at = fault.thread().source();
            assertEquals("kernels/inner.cuh", at.file());
            assertEquals(40, at.line());
            assertEquals(11, at.ptxLine());
            assertEquals("kernels/demo.cu", at.inlinedAt().file());
            assertEquals(13, at.inlinedAt().line());
            assertTrue(fault.getMessage().contains("kernels/inner.cuh:40 (inlined at kernels/demo.cu:13)"),
                    fault.getMessage());
        }
    }

    @Test
    void scopesHideNames() {
        try (KernelBed bed = new KernelBed("sm_75", """
                .visible .entry k(.param .u64 out)
                {
                  .reg .pred %p;
                  .reg .b32 %a<3>;
                  .reg .b64 %o;
                  ld.param.u64 %o, [out];
                  mov.u32 %a1, 1;
                  { .reg .b32 %a1;
                    mov.u32 %a1, 5;
                    st.global.u32 [%o+4], %a1;
                    setp.eq.u32 %p, %a1, 5;
                    @%p bra DONE;
                    trap;
                    DONE:
                  }
                  { .reg .b32 t;
                    mov.u32 t, 6;
                    st.global.u32 [%o+8], t;
                    bra.uni DONE;
                    trap;
                    DONE:
                  }
                  st.global.u32 [%o], %a1;
                  ret;
                }
                """)) {
            long out = bed.ints(0, 0, 0);
            bed.launch("k", Launch.of(1, 1), out);
            org.junit.jupiter.api.Assertions.assertArrayEquals(new int[] {1, 5, 6}, bed.read(out, 3));
        }
    }

    @Test
    void printsAndAsserts() {
        try (KernelBed bed = new KernelBed("sm_75", """
                .extern .func (.param .b32 status) vprintf (.param .b64 format, .param .b64 arguments);
                .global .align 1 .b8 text[20] = {105, 61, 37, 100, 32, 37, 46, 49, 102, 32, 37, 115, 10, 0};
                .visible .entry k()
                {
                  .local .align 8 .b8 own[24];
                  .reg .b32 %a;
                  .reg .b64 %x, %y;
                  st.local.u32 [own], -7;
                  st.local.f64 [own+8], 0d3FF8000000000000;
                  mov.u64 %x, text;
                  cvta.global.u64 %x, %x;
                  st.local.u64 [own+16], %x;
                  mov.u64 %y, own;
                  cvta.local.u64 %y, %y;
                  { .param .b64 param0;
                    .param .b64 param1;
                    .param .b32 retval0;
                    st.param.b64 [param0+0], %x;
                    st.param.b64 [param1+0], %y;
                    call.uni (retval0), vprintf, (param0, param1);
                    ld.param.b32 %a, [retval0+0];
                  }
                  ret;
                }
                """)) {
            LaunchReport report = bed.launch("k", Launch.of(1, 1));
            assertEquals(java.util.List.of("i=-7 1.5 i=%d %.1f %s\n\n"), report.output());
        }
    }

    @Test
    void globalVariablesOfAnImage() {
        PtxModule module = Assembler.load(HEAD + ".visible .global .align 4 .u32 n = 5;\n"
                + ".visible .entry k()\n{\n.reg .b32 %a;\nld.global.u32 %a, [n];\nadd.u32 %a, %a, 1;\n"
                + "st.global.u32 [n], %a;\nret;\n}\n");
        try (KernelBed bed = new KernelBed(module)) {
            Image one = bed.device.load(module);
            Image two = bed.device.load(module);
            Entry k = module.entry("k");
            bed.device.launch(one, k, Launch.of(1, 1), bed.block(k), null);
            bed.device.launch(one, k, Launch.of(1, 1), bed.block(k), null);
            assertEquals(7, bed.read(one.address("n"), 1)[0]);
            assertEquals(5, bed.read(two.address("n"), 1)[0]);
            assertEquals(4, one.bytes("n"));
            one.close();
            one.close();
            assertThrows(IllegalStateException.class,
                    () -> bed.device.launch(one, k, Launch.of(1, 1), bed.block(k), null));
        }
    }
}
