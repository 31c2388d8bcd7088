package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.StructLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The structs in Java against what a C compiler made of kernels/*_params.h, and against the PTX that is shipped. */
class KernelParamsTest {
    private static final List<StructLayout> LAYOUTS = List.of(KernelParams.CrossEntropy.LAYOUT,
            KernelParams.Status.LAYOUT, KernelParams.BceGroup.LAYOUT, KernelParams.BceAxes.LAYOUT,
            KernelParams.Bce.LAYOUT, KernelParams.General.LAYOUT, KernelParams.Adam.LAYOUT,
            KernelParams.AdamChunk.LAYOUT, KernelParams.AdamMixedChunk.LAYOUT, KernelParams.SgdMixedChunk.LAYOUT,
            KernelParams.AdamMixedGroup.LAYOUT, KernelParams.AdamMixed.LAYOUT, KernelParams.SgdMixedGroup.LAYOUT,
            KernelParams.SgdMixed.LAYOUT,
            KernelParams.AdamGroupParams.LAYOUT, KernelParams.Sgd.LAYOUT,
            KernelParams.SgdChunk.LAYOUT, KernelParams.SgdGroupParams.LAYOUT, KernelParams.Softmax.LAYOUT,
            KernelParams.NllLoss.LAYOUT,
            KernelParams.GuardPiece.LAYOUT, KernelParams.GuardControl.LAYOUT, KernelParams.Schedule.LAYOUT,
            KernelParams.GuardState.LAYOUT, KernelParams.GridBarrier.LAYOUT,
            KernelParams.Guard.LAYOUT, KernelParams.GuardSet.LAYOUT, KernelParams.AdamSetting.LAYOUT,
            KernelParams.AdamGuarded.LAYOUT, KernelParams.SgdGuarded.LAYOUT, KernelParams.AccumulateChunk.LAYOUT,
            KernelParams.GuardRun.LAYOUT);

    private static final List<String> ENTRIES = List.of("accumulate_grad", "adam_begin", "adam_guarded_f32",
            "adam_guarded_f32_amsgrad", "adam_guarded_mixed", "adam_guarded_mixed_amsgrad", "adam_step_f32",
            "adam_step_f32_amsgrad",
            "adam_step_f32_amsgrad_guarded", "adam_step_f32_guarded", "adam_step_mixed",
            "adam_step_mixed_amsgrad", "adam_step_mixed_amsgrad_guarded", "adam_step_mixed_guarded",
            "bce_with_logits_focal_grad_bf16", "bce_with_logits_focal_grad_f16", "bce_with_logits_focal_grad_f32",
            "bce_with_logits_focal_loss_bf16", "bce_with_logits_focal_loss_f16", "bce_with_logits_focal_loss_f32",
            "bce_with_logits_focal_loss_grad_bf16", "bce_with_logits_focal_loss_grad_f16",
            "bce_with_logits_focal_loss_grad_f32",
            "bce_with_logits_begin_bf16", "bce_with_logits_begin_f16", "bce_with_logits_begin_f32",
            "bce_with_logits_grad_bf16", "bce_with_logits_grad_f16", "bce_with_logits_grad_f32",
            "bce_with_logits_loss_bf16", "bce_with_logits_loss_f16", "bce_with_logits_loss_f32",
            "bce_with_logits_loss_grad_bf16", "bce_with_logits_loss_grad_f16", "bce_with_logits_loss_grad_f32",
            "bce_with_logits_weigh_bf16", "bce_with_logits_weigh_f16", "bce_with_logits_weigh_f32",
            "cross_entropy_count",
            "cross_entropy_general_begin", "cross_entropy_general_loss_bf16_block",
            "cross_entropy_general_loss_bf16_column", "cross_entropy_general_loss_f16_block",
            "cross_entropy_general_loss_f16_column", "cross_entropy_general_loss_f32_block",
            "cross_entropy_general_loss_f32_column", "cross_entropy_general_loss_grad_bf16_block",
            "cross_entropy_general_loss_grad_bf16_column", "cross_entropy_general_loss_grad_f16_block",
            "cross_entropy_general_loss_grad_f16_column", "cross_entropy_general_loss_grad_f32_block",
            "cross_entropy_general_loss_grad_f32_column", "cross_entropy_general_reduce",
            "cross_entropy_loss_f32_block", "cross_entropy_loss_f32_thread", "cross_entropy_loss_f32_warp",
            "cross_entropy_loss_f32_wide",
            "cross_entropy_loss_grad_f32_block", "cross_entropy_loss_grad_f32_thread",
            "cross_entropy_loss_grad_f32_warp", "cross_entropy_loss_grad_f32_wide", "cross_entropy_reduce_loss_f32",
            "cross_entropy_loss_bf16_block", "cross_entropy_loss_bf16_thread", "cross_entropy_loss_bf16_warp",
            "cross_entropy_loss_bf16_wide", "cross_entropy_loss_f16_block", "cross_entropy_loss_f16_thread",
            "cross_entropy_loss_f16_warp", "cross_entropy_loss_f16_wide", "cross_entropy_loss_grad_bf16_block",
            "cross_entropy_loss_grad_bf16_thread", "cross_entropy_loss_grad_bf16_warp",
            "cross_entropy_loss_grad_bf16_wide", "cross_entropy_loss_grad_f16_block",
            "cross_entropy_loss_grad_f16_thread", "cross_entropy_loss_grad_f16_warp",
            "cross_entropy_loss_grad_f16_wide",
            "guard_set", "guard_square_f32", "guard_square_mixed", "nll_loss_reduce_f32", "nll_loss_rows_bf16",
            "nll_loss_rows_f16", "nll_loss_rows_f32", "nll_loss_weigh_f32",
            "sgd_begin", "sgd_guarded_f32", "sgd_guarded_mixed", "sgd_step_f32", "sgd_step_f32_guarded",
            "sgd_step_mixed", "sgd_step_mixed_guarded",
            "softmax_forward_bf16_block", "softmax_forward_bf16_column", "softmax_forward_bf16_warp",
            "softmax_grad_bf16_block", "softmax_grad_bf16_column", "softmax_grad_bf16_warp",
            "softmax_forward_f16_block", "softmax_forward_f16_column", "softmax_forward_f16_warp",
            "softmax_grad_f16_block", "softmax_grad_f16_column", "softmax_grad_f16_warp",
            "softmax_forward_f32_block", "softmax_forward_f32_column", "softmax_forward_f32_warp",
            "softmax_grad_f32_block", "softmax_grad_f32_column", "softmax_grad_f32_warp");

    private static JsonNode json(String name) throws IOException {
        try (InputStream in = KernelParamsTest.class.getResourceAsStream("/dev/isobit/cuda/ptx/" + name)) {
            return new ObjectMapper().readTree(in);
        }
    }

    @Test
    void layoutsAreThoseOfTheCCompiler() throws IOException {
        JsonNode structs = json("params.json");
        assertEquals(LAYOUTS.size(), structs.size());
        for (StructLayout layout : LAYOUTS) {
            JsonNode struct = structs.get(layout.name().orElseThrow());
            assertEquals(struct.get("size").asLong(), layout.byteSize(), layout.toString());
            assertEquals(struct.get("align").asLong(), layout.byteAlignment(), layout.toString());
            Map<String, String> expected = new LinkedHashMap<>();
            struct.get("fields").properties().forEach(field -> expected.put(field.getKey(),
                    field.getValue().get("offset").asLong() + "+" + field.getValue().get("size").asLong()));
            Map<String, String> found = new LinkedHashMap<>();
            for (MemoryLayout field : layout.memberLayouts()) {
                String name = field.name().orElseThrow();
                found.put(name, layout.byteOffset(PathElement.groupElement(name)) + "+" + field.byteSize());
            }
            assertEquals(expected, found);
        }
    }

    @Test
    void constantsAreThoseOfTheHeaders() throws IOException {
        Map<String, Long> constants = new LinkedHashMap<>();
        Pattern constant = Pattern.compile("(?m)^ {4}([A-Z][A-Z0-9_]*) = (\\d+)[, ]?");
        Path kernels = Path.of(System.getProperty("isobit.home"), "kernels");
        try (DirectoryStream<Path> headers = Files.newDirectoryStream(kernels, "*_params.h")) {
            for (Path header : headers) {
                constant.matcher(Files.readString(header)).results()
                        .forEach(found -> constants.put(found.group(1), Long.valueOf(found.group(2))));
            }
        }
        Map<String, Long> found = new LinkedHashMap<>();
        found.put("CROSS_ENTROPY_MEAN", (long) KernelParams.CrossEntropy.MEAN);
        found.put("CROSS_ENTROPY_GRAD_LOSS_PER_ROW", (long) KernelParams.CrossEntropy.GRAD_LOSS_PER_ROW);
        found.put("CROSS_ENTROPY_TARGETS_I32", (long) KernelParams.CrossEntropy.TARGETS_I32);
        found.put("CROSS_ENTROPY_THREAD_CLASSES", (long) KernelParams.CrossEntropy.THREAD_CLASSES);
        found.put("CROSS_ENTROPY_WARP_CLASSES", (long) KernelParams.CrossEntropy.WARP_CLASSES);
        found.put("CROSS_ENTROPY_WIDE_CLASSES", (long) KernelParams.CrossEntropy.WIDE_CLASSES);
        found.put("CROSS_ENTROPY_SEGMENT", (long) KernelParams.CrossEntropy.SEGMENT);
        found.put("CROSS_ENTROPY_COUNT_BLOCKS", (long) KernelParams.CrossEntropy.COUNT_BLOCKS);
        found.put("GENERAL_MEAN", (long) KernelParams.General.MEAN);
        found.put("GENERAL_SUMMED_DENOMINATOR", (long) KernelParams.General.SUMMED_DENOMINATOR);
        found.put("GENERAL_GRAD_LOSS_PER_ROW", (long) KernelParams.General.GRAD_LOSS_PER_ROW);
        found.put("GENERAL_TARGETS_I32", (long) KernelParams.General.TARGETS_I32);
        found.put("GENERAL_TARGETS_I16", (long) KernelParams.General.TARGETS_I16);
        found.put("GENERAL_TARGETS_U8", (long) KernelParams.General.TARGETS_U8);
        found.put("GENERAL_PROBABILITIES", (long) KernelParams.General.PROBABILITIES);
        found.put("GENERAL_ACCUMULATE", (long) KernelParams.General.ACCUMULATE);
        found.put("GENERAL_ZERO", (long) KernelParams.General.ZERO);
        found.put("GENERAL_TARGETS_NARROW", (long) KernelParams.General.TARGETS_NARROW);
        found.put("GENERAL_ENTROPY", (long) KernelParams.General.ENTROPY_FLAG);
        found.put("GENERAL_PLACES", (long) KernelParams.General.PLACES);
        found.put("GENERAL_KEPT", (long) KernelParams.General.KEPT);
        found.put("GENERAL_SEGMENT", (long) KernelParams.General.SEGMENT);
        found.put("GENERAL_STATE", (long) KernelParams.General.STATE);
        found.put("BCE_MEAN", (long) KernelParams.Bce.MEAN);
        found.put("BCE_SUMMED_DENOMINATOR", (long) KernelParams.Bce.SUMMED_DENOMINATOR);
        found.put("BCE_GRAD_LOSS_PER_ELEMENT", (long) KernelParams.Bce.GRAD_LOSS_PER_ELEMENT);
        found.put("BCE_LOSS_PER_ELEMENT", (long) KernelParams.Bce.LOSS_PER_ELEMENT);
        found.put("BCE_POS_WEIGHT_FULL", (long) KernelParams.Bce.POS_WEIGHT_FULL);
        found.put("BCE_WEIGHTS_FULL", (long) KernelParams.Bce.WEIGHTS_FULL);
        found.put("BCE_WIDE_INDEX", (long) KernelParams.Bce.WIDE_INDEX);
        found.put("BCE_MASK_FULL", (long) KernelParams.Bce.MASK_FULL);
        found.put("BCE_TARGETS_U8", (long) KernelParams.Bce.TARGETS_U8);
        found.put("BCE_IGNORE_VALUE", (long) KernelParams.Bce.IGNORE_VALUE_FLAG);
        found.put("BCE_WEIGHTED_MEAN", (long) KernelParams.Bce.WEIGHTED_MEAN);
        found.put("BCE_TARGETS_NARROW", (long) KernelParams.Bce.TARGETS_NARROW);
        found.put("BCE_TARGETS_BITS", (long) KernelParams.Bce.TARGETS_BITS);
        found.put("BCE_SEGMENT", (long) KernelParams.Bce.SEGMENT);
        found.put("ADAM_MAXIMIZE", (long) KernelParams.Adam.MAXIMIZE);
        found.put("ADAM_GRAD_DECAY", (long) KernelParams.Adam.GRAD_DECAY_FLAG);
        found.put("ADAM_DISABLED", (long) KernelParams.Adam.DISABLED);
        found.put("ADAM_CHUNK", (long) KernelParams.Adam.CHUNK);
        found.put("ADAM_GROUPS", (long) KernelParams.Adam.GROUPS);
        found.put("SGD_MAXIMIZE", (long) KernelParams.Sgd.MAXIMIZE);
        found.put("SGD_WEIGHT_DECAY", (long) KernelParams.Sgd.WEIGHT_DECAY_FLAG);
        found.put("SGD_NESTEROV", (long) KernelParams.Sgd.NESTEROV);
        found.put("SGD_FIRST", (long) KernelParams.Sgd.FIRST);
        found.put("SGD_DISABLED", (long) KernelParams.Sgd.DISABLED);
        found.put("SGD_CHUNK", (long) KernelParams.Sgd.CHUNK);
        found.put("SGD_GROUPS", (long) KernelParams.Sgd.GROUPS);
        found.put("SCHEDULE_CONSTANT", (long) KernelParams.Schedule.CONSTANT);
        found.put("SCHEDULE_LINEAR", (long) KernelParams.Schedule.LINEAR);
        found.put("SCHEDULE_COSINE", (long) KernelParams.Schedule.COSINE);
        found.put("SCHEDULE_STEP", (long) KernelParams.Schedule.STEP);
        found.put("DTYPE_F32", (long) KernelParams.GuardPiece.F32);
        found.put("DTYPE_BF16", (long) KernelParams.GuardPiece.BF16);
        found.put("DTYPE_F16", (long) KernelParams.GuardPiece.F16);
        found.put("DTYPE_I16", (long) KernelParams.GuardPiece.I16);
        found.put("MIXED_STOCHASTIC", (long) KernelParams.GuardPiece.STOCHASTIC);
        found.put("GUARD_CHECK", (long) KernelParams.Guard.CHECK);
        found.put("GUARD_SCALING", (long) KernelParams.Guard.SCALING);
        found.put("GUARD_ZERO_GRAD", (long) KernelParams.Guard.ZERO_GRAD);
        found.put("GUARD_PIECE", (long) KernelParams.Guard.PIECE);
        found.put("GUARD_SEGMENT", (long) KernelParams.Guard.SEGMENT);
        found.put("GUARD_RUNS", (long) KernelParams.GuardSet.RUNS_OF_A_LAUNCH);
        found.put("GUARD_ACCUMULATE", (long) KernelParams.Guard.ACCUMULATE);
        found.put("GUARD_ZERO_ADDED", (long) KernelParams.Guard.ZERO_ADDED);
        found.put("ADAM_PARAM_DECAY", (long) KernelParams.AdamSetting.PARAM_DECAY);
        found.put("ADAM_EPSILON_HAT", (long) KernelParams.AdamSetting.EPSILON_HAT);
        found.put("ADAM_DECAY_AFTER", (long) KernelParams.AdamSetting.DECAY_AFTER);
        found.put("ADAM_ONNX", (long) KernelParams.AdamSetting.ONNX);
        found.put("SOFTMAX_LOG", (long) KernelParams.Softmax.LOG);
        found.put("SOFTMAX_WARP_CLASSES", (long) KernelParams.Softmax.WARP_CLASSES);
        found.put("SOFTMAX_SEGMENT", (long) KernelParams.Softmax.SEGMENT);
        found.put("NLL_LOSS_MEAN", (long) KernelParams.NllLoss.MEAN);
        found.put("NLL_LOSS_GRAD_LOSS_PER_ROW", (long) KernelParams.NllLoss.GRAD_LOSS_PER_ROW);
        found.put("NLL_LOSS_TARGETS_I32", (long) KernelParams.NllLoss.TARGETS_I32);
        found.put("NLL_LOSS_TARGETS_I16", (long) KernelParams.NllLoss.TARGETS_I16);
        found.put("NLL_LOSS_TARGETS_U8", (long) KernelParams.NllLoss.TARGETS_U8);
        found.put("NLL_LOSS_SEGMENT", (long) KernelParams.NllLoss.SEGMENT);
        assertEquals(constants, found);
        assertEquals(KernelParams.Adam.CHUNK, ChunkTable.CHUNK);
        assertEquals(KernelParams.Sgd.CHUNK, ChunkTable.CHUNK);
        assertEquals(KernelParams.Adam.GROUPS, ChunkedStep.GROUPS);
        assertEquals(KernelParams.Sgd.GROUPS, ChunkedStep.GROUPS);
    }

    /** Every entry has one parameter, a struct of the layout's size, and there is no entry that Java does not know. */
    @ParameterizedTest
    @ValueSource(strings = {"sm_75", "sm_90"})
    void everyEntryTakesOneStructOfThatSize(String target) throws IOException {
        TreeSet<String> entries = new TreeSet<>();
        for (String op : List.of("accumulate", "adam", "adam_guarded", "adam_mixed", "adam_mixed_guarded",
                "sgd_guarded",
                "sgd_mixed",
                "sgd_mixed_guarded", "bce_with_logits", "bce_with_logits_bf16",
                "bce_with_logits_f16", "bce_with_logits_focal", "bce_with_logits_focal_bf16",
                "bce_with_logits_focal_f16", "cross_entropy", "cross_entropy_bf16", "cross_entropy_f16",
                "cross_entropy_general", "cross_entropy_general_bf16", "cross_entropy_general_f16", "guard",
                "nll_loss", "nll_loss_bf16", "nll_loss_f16", "sgd", "softmax", "softmax_bf16", "softmax_f16")) {
            String ptx;
            try (InputStream in = KernelParamsTest.class.getResourceAsStream(CudaModule.resource(op, target))) {
                ptx = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            }
            assertTrue(ptx.contains("\n.target " + target), op);
            Matcher entry = Pattern.compile("\\.entry (\\w+)\\(([^)]*)\\)").matcher(ptx);
            while (entry.find()) {
                entries.add(entry.group(1));
                Matcher parameter =
                        Pattern.compile("\\.param \\.align (\\d+) \\.b8 \\w+\\[(\\d+)\\]").matcher(entry.group(2));
                assertTrue(parameter.find(), entry.group());
                boolean guarded = entry.group(1).endsWith("_begin") || entry.group(1).endsWith("_guarded");
                StructLayout layout = switch (op) {
                    case "accumulate" -> KernelParams.Guard.LAYOUT;
                    case "adam" -> guarded ? KernelParams.AdamGuarded.LAYOUT : KernelParams.Adam.LAYOUT;
                    case "adam_guarded", "adam_mixed_guarded" -> KernelParams.AdamGuarded.LAYOUT;
                    case "sgd_guarded", "sgd_mixed_guarded" -> KernelParams.SgdGuarded.LAYOUT;
                    case "adam_mixed" -> guarded ? KernelParams.AdamGuarded.LAYOUT : KernelParams.AdamMixed.LAYOUT;
                    case "sgd" -> guarded ? KernelParams.SgdGuarded.LAYOUT : KernelParams.Sgd.LAYOUT;
                    case "sgd_mixed" -> guarded ? KernelParams.SgdGuarded.LAYOUT : KernelParams.SgdMixed.LAYOUT;
                    case "guard" -> entry.group(1).equals("guard_set")
                            ? KernelParams.GuardSet.LAYOUT
                            : KernelParams.Guard.LAYOUT;
                    case "softmax", "softmax_bf16", "softmax_f16" -> KernelParams.Softmax.LAYOUT;
                    case "nll_loss", "nll_loss_bf16", "nll_loss_f16" -> KernelParams.NllLoss.LAYOUT;
                    case "bce_with_logits", "bce_with_logits_bf16", "bce_with_logits_f16", "bce_with_logits_focal",
                            "bce_with_logits_focal_bf16", "bce_with_logits_focal_f16" ->
                        KernelParams.Bce.LAYOUT;
                    case "cross_entropy_general", "cross_entropy_general_bf16", "cross_entropy_general_f16" ->
                        KernelParams.General.LAYOUT;
                    default -> KernelParams.CrossEntropy.LAYOUT;
                };
                assertEquals(layout.byteAlignment(), Long.parseLong(parameter.group(1)), entry.group(1));
                assertEquals(layout.byteSize(), Long.parseLong(parameter.group(2)), entry.group(1));
                assertEquals(1, entry.group(2).split("\\.param", -1).length - 1, entry.group(1));
            }
        }
        assertEquals(new TreeSet<>(ENTRIES), entries);
    }

    private static int bceThreads(String entry) {
        boolean elements = !entry.contains("weigh_") && !entry.contains("begin_");
        return elements && !entry.endsWith("_f32") ? LaunchTable.NARROW_BCE_THREADS : LaunchTable.BCE_THREADS;
    }

    /** Blocks are what the kernels were compiled for, and the stash leaves room for the shared memory they have. */
    @ParameterizedTest
    @ValueSource(strings = {"sm_75", "sm_90"})
    void launchShapesAreThoseTheKernelsWereCompiledFor(String target) throws IOException {
        JsonNode files = json("manifest.json").get("ptx");
        JsonNode entries = files.get("cross_entropy." + target + ".ptx").get("entries");
        Map<String, Integer> threads = new LinkedHashMap<>();
        threads.put("cross_entropy_count", LaunchTable.COUNT_THREADS);
        threads.put("cross_entropy_reduce_loss_f32", LaunchTable.REDUCE_THREADS);
        for (LaunchTable.Variant variant : LaunchTable.Variant.values()) {
            threads.put("cross_entropy_loss_f32_" + variant.suffix, variant.threads);
            threads.put("cross_entropy_loss_grad_f32_" + variant.suffix, variant.threads);
        }
        threads.forEach((name, expected) -> assertEquals(expected, entries.get(name).get("max_threads").asInt(), name));
        for (String op : List.of("accumulate", "adam", "adam_mixed", "sgd", "sgd_mixed")) {
            files.get(op + "." + target + ".ptx").get("entries").properties().forEach(entry -> assertEquals(
                    entry.getKey().endsWith("_begin") ? LaunchTable.GUARD_THREADS : LaunchTable.OPTIMIZER_THREADS,
                    entry.getValue().get("max_threads").asInt(), entry.getKey()));
        }
        for (String dtype : List.of("bf16", "f16")) {
            JsonNode narrow = files.get("cross_entropy_" + dtype + "." + target + ".ptx").get("entries");
            for (LaunchTable.Variant variant : LaunchTable.Variant.values()) {
                for (String phase : List.of("loss_", "loss_grad_")) {
                    String name = "cross_entropy_" + phase + dtype + "_" + variant.suffix;
                    assertEquals(variant.threads(true), narrow.get(name).get("max_threads").asInt(), name);
                    for (LaunchTable.Row row : LaunchTable.ROWS) {
                        assertTrue(row.rowBlocks(variant, phase.equals("loss_grad_"), true) <= narrow.get(name)
                                .get("min_blocks").asInt(), name);
                    }
                }
            }
        }
        for (String dtype : List.of("", "_bf16", "_f16")) {
            files.get("cross_entropy_general" + dtype + "." + target + ".ptx").get("entries").properties()
                    .forEach(entry -> assertEquals(dtype.isEmpty() || entry.getKey().endsWith("_column")
                            ? LaunchTable.GENERAL_THREADS
                            : LaunchTable.GENERAL_NARROW_THREADS, entry.getValue().get("max_threads").asInt()));
        }
        for (String dtype : List.of("", "_bf16", "_f16", "_focal", "_focal_bf16", "_focal_f16")) {
            files.get("bce_with_logits" + dtype + "." + target + ".ptx").get("entries").properties()
                    .forEach(entry -> assertEquals(bceThreads(entry.getKey()),
                            entry.getValue().get("max_threads").asInt(), entry.getKey()));
        }
        for (String dtype : List.of("f32", "bf16", "f16")) {
            boolean narrow = !dtype.equals("f32");
            String suffix = (narrow ? "_" + dtype : "") + "." + target + ".ptx";
            files.get("nll_loss" + suffix).get("entries").properties().forEach(entry -> {
                assertEquals(LaunchTable.NLL_THREADS, entry.getValue().get("max_threads").asInt());
                assertEquals(LaunchTable.NLL_BLOCKS, entry.getValue().get("min_blocks").asInt());
            });
            for (LaunchTable.SoftmaxVariant variant : LaunchTable.SoftmaxVariant.values()) {
                for (String phase : List.of("forward", "grad")) {
                    JsonNode entry = files.get("softmax" + suffix).get("entries")
                            .get("softmax_" + phase + "_" + dtype + "_" + variant.suffix);
                    assertEquals(variant.threads(narrow), entry.get("max_threads").asInt());
                    assertEquals(variant.blocks(phase.equals("grad"), narrow), entry.get("min_blocks").asInt());
                }
            }
        }
        JsonNode guard = files.get("guard." + target + ".ptx").get("entries");
        assertEquals(LaunchTable.GUARD_THREADS, guard.get("guard_set").get("max_threads").asInt());
        assertEquals(LaunchTable.GUARD_THREADS, guard.get("guard_square_f32").get("max_threads").asInt());
        assertEquals(LaunchTable.GUARD_THREADS, guard.get("guard_square_mixed").get("max_threads").asInt());
        for (String op : List.of("adam_guarded", "adam_mixed_guarded", "sgd_guarded", "sgd_mixed_guarded")) {
            files.get(op + "." + target + ".ptx").get("entries").properties().forEach(entry -> assertEquals(
                    LaunchTable.OPTIMIZER_THREADS, entry.getValue().get("max_threads").asInt(), entry.getKey()));
        }
        for (String name : List.of("cross_entropy_loss_f32_block", "cross_entropy_loss_grad_f32_block")) {
            assertTrue(entries.get(name).get("static_shared_bytes").asInt() <= LaunchTable.BLOCK_STATIC_SHARED_BYTES);
        }
    }
}
