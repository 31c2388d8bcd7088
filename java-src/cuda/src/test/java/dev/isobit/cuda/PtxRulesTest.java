package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** native-build/build-ptx lets the committed PTX through and refuses what could compute other bits elsewhere. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "build-ptx is a bash script")
class PtxRulesTest {
    private static final Path ROOT = Path.of(System.getProperty("isobit.home", "../.."));
    private static final Path PTX = ROOT.resolve("kernels/ptx");

    @TempDir
    private Path folder;

    private record Outcome(int exit, String output) {}

    private static Outcome run(String... arguments) throws IOException, InterruptedException {
        String[] command = new String[arguments.length + 1];
        command[0] = ROOT.resolve("native-build/build-ptx").toString();
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Outcome(process.waitFor(), output);
    }

    @Test
    void manifestHasTheHashesOfSourcesAndPtx() throws Exception {
        assertEquals(new Outcome(0, ""), run("--hashes"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"accumulate.sm_75.ptx", "accumulate.sm_90.ptx", "adam.sm_75.ptx", "adam.sm_90.ptx",
        "bce_with_logits.sm_75.ptx",
        "bce_with_logits.sm_90.ptx", "bce_with_logits_bf16.sm_75.ptx", "bce_with_logits_bf16.sm_90.ptx",
        "bce_with_logits_focal.sm_75.ptx", "bce_with_logits_focal.sm_90.ptx", "bce_with_logits_focal_bf16.sm_75.ptx",
        "bce_with_logits_focal_bf16.sm_90.ptx", "bce_with_logits_focal_f16.sm_75.ptx",
        "bce_with_logits_focal_f16.sm_90.ptx", "bce_with_logits_f16.sm_75.ptx", "bce_with_logits_f16.sm_90.ptx",
        "cross_entropy.sm_75.ptx",
        "cross_entropy.sm_90.ptx", "cross_entropy_bf16.sm_75.ptx", "cross_entropy_bf16.sm_90.ptx",
        "cross_entropy_f16.sm_75.ptx", "cross_entropy_f16.sm_90.ptx",
        "cross_entropy_general.sm_75.ptx", "cross_entropy_general.sm_90.ptx",
        "cross_entropy_general_bf16.sm_75.ptx", "cross_entropy_general_bf16.sm_90.ptx",
        "cross_entropy_general_f16.sm_75.ptx", "cross_entropy_general_f16.sm_90.ptx", "guard.sm_75.ptx",
        "guard.sm_90.ptx",
        "nll_loss.sm_75.ptx", "nll_loss.sm_90.ptx", "sgd.sm_75.ptx", "sgd.sm_90.ptx", "softmax.sm_75.ptx",
        "softmax.sm_90.ptx"})
    void committedPtxKeepsTheRules(String file) throws Exception {
        assertEquals(new Outcome(0, ""), run("--lint", PTX.resolve(file).toString()));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            fma.rn.f32           | fma.f32                           | no rounding
            mul.rn.f32           | mul.f32                           | no rounding
            div.rn.f32           | div.approx.f32                    | not exactly rounded
            sqrt.rn.f32          | sqrt.rn.ftz.f32                   | not exactly rounded
            ret;                 | ex2.approx.f32 %f1, %f1;          | not exactly rounded
            ret;                 | red.global.add.f32 [%rd1], %f1;   | its order is not defined
            ret;                 | st.local.f32 [%rd1], %f1;         | local memory
            ret;                 | bra L1; add.f64 %fd1, %fd1, %fd1; | two statements in a line
            ld.global.ca.v4.f32  | ld.global.ca.v2.f32               | narrower than 128 bits in a main loop
            st.global.wb.v4.f32  | st.global.wb.f32                  | narrower than 128 bits in a main loop
            // main-loop end     | // the end                        | in a main loop
            // main-loop begin   | // the beginning                  | no main loop
            .reg .pred           | .local .b8 x[4]; .reg .pred       | local memory
            """)
    void whatBreaksARuleIsRefused(String good, String bad, String reason) throws Exception {
        String text = Files.readString(PTX.resolve("adam.sm_75.ptx"));
        String broken = text.replace(good, bad);
        assertNotEquals(text, broken);
        Path file = Files.writeString(folder.resolve("broken.ptx"), broken);
        Outcome outcome = run("--lint", file.toString());
        assertEquals(1, outcome.exit(), outcome.output());
        assertTrue(outcome.output().contains(reason), outcome.output());
    }
}
