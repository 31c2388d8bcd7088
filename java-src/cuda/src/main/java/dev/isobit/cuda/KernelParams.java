package dev.isobit.cuda;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * The structs and constants of kernels/*_params.h. Tests compare them with what a C compiler makes of these and with
 * the size of each entry's parameter in the PTX.
 */
final class KernelParams {
    private static final ValueLayout.OfLong POINTER = ValueLayout.JAVA_LONG;
    private static final ValueLayout.OfLong I64 = ValueLayout.JAVA_LONG;
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfDouble F64 = ValueLayout.JAVA_DOUBLE;

    private KernelParams() {}

    private static long offset(StructLayout layout, String field) {
        return layout.byteOffset(PathElement.groupElement(field));
    }

    /** {@code cross_entropy_params} */
    static final class CrossEntropy {
        static final int MEAN = 1;
        static final int GRAD_LOSS_PER_ROW = 2;
        static final int TARGETS_I32 = 4;
        static final int THREAD_CLASSES = 32;
        static final int WARP_CLASSES = 1024;
        static final int WIDE_CLASSES = 2048;
        static final int SEGMENT = 8192;
        static final int COUNT_BLOCKS = 128;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("logits"),
                POINTER.withName("targets"), POINTER.withName("grad_loss"), POINTER.withName("row_loss"),
                POINTER.withName("loss"), POINTER.withName("grad_logits"), POINTER.withName("denominator_parts"),
                POINTER.withName("loss_parts"), POINTER.withName("arrivals"), POINTER.withName("status"),
                I64.withName("rows"), I64.withName("classes"), I64.withName("ignore_index"), I32.withName("flags"),
                I32.withName("count_blocks"), I32.withName("stash_segments"), I32.withName("reserved"))
                .withName("cross_entropy_params");

        static final long LOGITS = offset(LAYOUT, "logits");
        static final long TARGETS = offset(LAYOUT, "targets");
        static final long GRAD_LOSS = offset(LAYOUT, "grad_loss");
        static final long ROW_LOSS = offset(LAYOUT, "row_loss");
        static final long LOSS = offset(LAYOUT, "loss");
        static final long GRAD_LOGITS = offset(LAYOUT, "grad_logits");
        static final long DENOMINATOR_PARTS = offset(LAYOUT, "denominator_parts");
        static final long LOSS_PARTS = offset(LAYOUT, "loss_parts");
        static final long ARRIVALS = offset(LAYOUT, "arrivals");
        static final long STATUS = offset(LAYOUT, "status");
        static final long ROWS = offset(LAYOUT, "rows");
        static final long CLASSES = offset(LAYOUT, "classes");
        static final long IGNORE_INDEX = offset(LAYOUT, "ignore_index");
        static final long FLAGS = offset(LAYOUT, "flags");
        static final long COUNT_BLOCKS_FIELD = offset(LAYOUT, "count_blocks");
        static final long STASH_SEGMENTS = offset(LAYOUT, "stash_segments");

        private CrossEntropy() {}
    }

    /** {@code cross_entropy_status} */
    static final class Status {
        static final StructLayout LAYOUT =
                MemoryLayout.structLayout(I64.withName("bad_targets"), I64.withName("first_bad_row"),
                        I64.withName("first_bad_target")).withName("cross_entropy_status");
        static final long BAD_TARGETS = offset(LAYOUT, "bad_targets");
        static final long FIRST_BAD_ROW = offset(LAYOUT, "first_bad_row");
        static final long FIRST_BAD_TARGET = offset(LAYOUT, "first_bad_target");

        private Status() {}
    }

    /** {@code cross_entropy_general_params} */
    static final class General {
        static final int MEAN = 1;
        static final int SUMMED_DENOMINATOR = 2;
        static final int GRAD_LOSS_PER_ROW = 4;
        static final int TARGETS_I32 = 8;
        static final int TARGETS_I16 = 16;
        static final int TARGETS_U8 = 32;
        static final int PROBABILITIES = 64;
        static final int ACCUMULATE = 128;
        static final int ZERO = 256;
        static final int TARGETS_NARROW = 512;
        static final int ENTROPY_FLAG = 1024;
        static final int PLACES = 2048;
        static final int KEPT = 4096;
        static final int SEGMENT = 8192;
        static final int STATE = 7;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("logits"),
                POINTER.withName("targets"), POINTER.withName("class_weights"), POINTER.withName("weights"),
                POINTER.withName("grad_loss"), POINTER.withName("divisor"), POINTER.withName("row_loss"),
                POINTER.withName("loss"), POINTER.withName("grad_logits"), POINTER.withName("lse"),
                POINTER.withName("entropy"), POINTER.withName("argmax"), POINTER.withName("hits"),
                POINTER.withName("log_probabilities"), POINTER.withName("states"), POINTER.withName("target_logits"),
                POINTER.withName("saved_states"), POINTER.withName("saved_target_logits"),
                POINTER.withName("weight_parts"), POINTER.withName("loss_parts"), POINTER.withName("arrivals"),
                POINTER.withName("status"), I64.withName("rows"), I64.withName("classes"),
                I64.withName("first_class"), I64.withName("all_classes"), I64.withName("stride"), I64.withName("inner"),
                I64.withName("ignore_index"),
                F32.withName("keep"), F32.withName("smooth"), F32.withName("z_loss"), F32.withName("scale"),
                F32.withName("softcap"), F32.withName("softcap_rate"), F32.withName("grad_loss_scale"),
                I32.withName("flags")).withName("cross_entropy_general_params");

        static final long LOGITS = offset(LAYOUT, "logits");
        static final long TARGETS = offset(LAYOUT, "targets");
        static final long CLASS_WEIGHTS = offset(LAYOUT, "class_weights");
        static final long WEIGHTS = offset(LAYOUT, "weights");
        static final long GRAD_LOSS = offset(LAYOUT, "grad_loss");
        static final long DIVISOR = offset(LAYOUT, "divisor");
        static final long ROW_LOSS = offset(LAYOUT, "row_loss");
        static final long LOSS = offset(LAYOUT, "loss");
        static final long GRAD_LOGITS = offset(LAYOUT, "grad_logits");
        static final long LSE = offset(LAYOUT, "lse");
        static final long ENTROPY = offset(LAYOUT, "entropy");
        static final long ARGMAX = offset(LAYOUT, "argmax");
        static final long HITS = offset(LAYOUT, "hits");
        static final long LOG_PROBABILITIES = offset(LAYOUT, "log_probabilities");
        static final long STATES = offset(LAYOUT, "states");
        static final long TARGET_LOGITS = offset(LAYOUT, "target_logits");
        static final long SAVED_STATES = offset(LAYOUT, "saved_states");
        static final long SAVED_TARGET_LOGITS = offset(LAYOUT, "saved_target_logits");
        static final long WEIGHT_PARTS = offset(LAYOUT, "weight_parts");
        static final long LOSS_PARTS = offset(LAYOUT, "loss_parts");
        static final long ARRIVALS = offset(LAYOUT, "arrivals");
        static final long STATUS = offset(LAYOUT, "status");
        static final long ROWS = offset(LAYOUT, "rows");
        static final long CLASSES = offset(LAYOUT, "classes");
        static final long FIRST_CLASS = offset(LAYOUT, "first_class");
        static final long ALL_CLASSES = offset(LAYOUT, "all_classes");
        static final long STRIDE = offset(LAYOUT, "stride");
        static final long INNER = offset(LAYOUT, "inner");
        static final long IGNORE_INDEX = offset(LAYOUT, "ignore_index");
        static final long KEEP = offset(LAYOUT, "keep");
        static final long SMOOTH = offset(LAYOUT, "smooth");
        static final long Z_LOSS = offset(LAYOUT, "z_loss");
        static final long SCALE = offset(LAYOUT, "scale");
        static final long SOFTCAP = offset(LAYOUT, "softcap");
        static final long SOFTCAP_RATE = offset(LAYOUT, "softcap_rate");
        static final long GRAD_LOSS_SCALE = offset(LAYOUT, "grad_loss_scale");
        static final long FLAGS = offset(LAYOUT, "flags");

        private General() {}
    }

    /** {@code bce_with_logits_group} */
    static final class BceGroup {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(I64.withName("inner"), I64.withName("size"),
                I64.withName("stride")).withName("bce_with_logits_group");
        static final long INNER = offset(LAYOUT, "inner");
        static final long SIZE = offset(LAYOUT, "size");
        static final long STRIDE = offset(LAYOUT, "stride");

        private BceGroup() {}
    }

    /** {@code bce_with_logits_axes} */
    static final class BceAxes {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(BceGroup.LAYOUT.withName("group0"),
                BceGroup.LAYOUT.withName("group1"), BceGroup.LAYOUT.withName("group2"),
                BceGroup.LAYOUT.withName("group3")).withName("bce_with_logits_axes");
        static final int GROUPS = 4;

        private BceAxes() {}

        static long group(int index) {
            return offset(LAYOUT, "group" + index);
        }
    }

    /** {@code bce_with_logits_params} */
    static final class Bce {
        static final int MEAN = 1;
        static final int SUMMED_DENOMINATOR = 2;
        static final int GRAD_LOSS_PER_ELEMENT = 4;
        static final int LOSS_PER_ELEMENT = 8;
        static final int POS_WEIGHT_FULL = 16;
        static final int WEIGHTS_FULL = 32;
        static final int WIDE_INDEX = 64;
        static final int MASK_FULL = 128;
        static final int TARGETS_U8 = 256;
        static final int IGNORE_VALUE_FLAG = 512;
        static final int WEIGHTED_MEAN = 1024;
        static final int TARGETS_NARROW = 2048;
        static final int TARGETS_BITS = 4096;
        static final int SEGMENT = 8192;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("logits"),
                POINTER.withName("targets"), POINTER.withName("mask"), POINTER.withName("pos_weight"),
                POINTER.withName("weights"),
                POINTER.withName("grad_loss"), POINTER.withName("loss"), POINTER.withName("grad_logits"),
                POINTER.withName("sigmoid"), POINTER.withName("weight_parts"), POINTER.withName("denominator"),
                POINTER.withName("loss_parts"), POINTER.withName("arrivals"), I64.withName("count"),
                BceAxes.LAYOUT.withName("pos_weight_axes"), BceAxes.LAYOUT.withName("weights_axes"),
                BceAxes.LAYOUT.withName("mask_axes"), F32.withName("keep"), F32.withName("half"),
                F32.withName("ignore_value"), I32.withName("flags"), F32.withName("focal_alpha"),
                F32.withName("focal_rest"), F32.withName("focal_gamma"), I32.withName("focal_halves"))
                .withName("bce_with_logits_params");

        static final long LOGITS = offset(LAYOUT, "logits");
        static final long TARGETS = offset(LAYOUT, "targets");
        static final long MASK = offset(LAYOUT, "mask");
        static final long POS_WEIGHT = offset(LAYOUT, "pos_weight");
        static final long WEIGHTS = offset(LAYOUT, "weights");
        static final long GRAD_LOSS = offset(LAYOUT, "grad_loss");
        static final long LOSS = offset(LAYOUT, "loss");
        static final long GRAD_LOGITS = offset(LAYOUT, "grad_logits");
        static final long SIGMOID = offset(LAYOUT, "sigmoid");
        static final long WEIGHT_PARTS = offset(LAYOUT, "weight_parts");
        static final long DENOMINATOR = offset(LAYOUT, "denominator");
        static final long LOSS_PARTS = offset(LAYOUT, "loss_parts");
        static final long ARRIVALS = offset(LAYOUT, "arrivals");
        static final long COUNT = offset(LAYOUT, "count");
        static final long POS_WEIGHT_AXES = offset(LAYOUT, "pos_weight_axes");
        static final long WEIGHTS_AXES = offset(LAYOUT, "weights_axes");
        static final long MASK_AXES = offset(LAYOUT, "mask_axes");
        static final long KEEP = offset(LAYOUT, "keep");
        static final long HALF = offset(LAYOUT, "half");
        static final long IGNORE_VALUE = offset(LAYOUT, "ignore_value");
        static final long FOCAL_ALPHA = offset(LAYOUT, "focal_alpha");
        static final long FOCAL_REST = offset(LAYOUT, "focal_rest");
        static final long FOCAL_GAMMA = offset(LAYOUT, "focal_gamma");
        static final long FOCAL_HALVES = offset(LAYOUT, "focal_halves");
        static final long FLAGS = offset(LAYOUT, "flags");

        private Bce() {}
    }

    /** {@code adam_params} */
    static final class Adam {
        static final int MAXIMIZE = 1;
        static final int GRAD_DECAY_FLAG = 2;
        static final int DISABLED = 4;
        static final int CHUNK = 2048;
        static final int GROUPS = 64;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("chunks"),
                I64.withName("chunk_count"),
                MemoryLayout.sequenceLayout(GROUPS, AdamGroupParams.LAYOUT).withName("groups")).withName("adam_params");

        private Adam() {}
    }

    /** {@code adam_group} */
    static final class AdamGroupParams {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(F32.withName("w1"), F32.withName("w2"),
                F32.withName("neg_step_size"), F32.withName("rsqrt_bc2"), F32.withName("eps"),
                F32.withName("param_decay"), F32.withName("grad_decay"), I32.withName("flags"))
                .withName("adam_group");

        static final long W1 = offset(LAYOUT, "w1");
        static final long W2 = offset(LAYOUT, "w2");
        static final long NEG_STEP_SIZE = offset(LAYOUT, "neg_step_size");
        static final long RSQRT_BC2 = offset(LAYOUT, "rsqrt_bc2");
        static final long EPS = offset(LAYOUT, "eps");
        static final long PARAM_DECAY = offset(LAYOUT, "param_decay");
        static final long GRAD_DECAY = offset(LAYOUT, "grad_decay");
        static final long FLAGS = offset(LAYOUT, "flags");

        private AdamGroupParams() {}
    }

    /** {@code adam_chunk} */
    static final class AdamChunk {
        static final StructLayout LAYOUT =
                chunk("param", "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq").withName("adam_chunk");

        private AdamChunk() {}
    }

    /** {@code adam_mixed_chunk} */
    static final class AdamMixedChunk {
        static final StructLayout LAYOUT =
                mixed("param", "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq").withName("adam_mixed_chunk");

        private AdamMixedChunk() {}
    }

    /** {@code adam_mixed_group} */
    static final class AdamMixedGroup {
        static final StructLayout LAYOUT = MemoryLayout
                .structLayout(AdamGroupParams.LAYOUT.withName("scalars"), I64.withName("step"))
                .withName("adam_mixed_group");

        static final long STEP = offset(LAYOUT, "step");

        private AdamMixedGroup() {}
    }

    /** {@code adam_mixed_params} */
    static final class AdamMixed {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("chunks"),
                I64.withName("chunk_count"),
                MemoryLayout.sequenceLayout(Adam.GROUPS, AdamMixedGroup.LAYOUT).withName("groups"))
                .withName("adam_mixed_params");

        private AdamMixed() {}
    }

    /** {@code sgd_params} */
    static final class Sgd {
        static final int MAXIMIZE = 1;
        static final int WEIGHT_DECAY_FLAG = 2;
        static final int NESTEROV = 4;
        static final int FIRST = 8;
        static final int DISABLED = 16;
        static final int CHUNK = 2048;
        static final int GROUPS = 64;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("chunks"),
                I64.withName("chunk_count"),
                MemoryLayout.sequenceLayout(GROUPS, SgdGroupParams.LAYOUT).withName("groups")).withName("sgd_params");

        private Sgd() {}
    }

    /** {@code sgd_group} */
    static final class SgdGroupParams {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(F32.withName("neg_lr"), F32.withName("momentum"),
                F32.withName("grad_share"), F32.withName("weight_decay"), I32.withName("flags")).withName("sgd_group");

        static final long NEG_LR = offset(LAYOUT, "neg_lr");
        static final long MOMENTUM = offset(LAYOUT, "momentum");
        static final long GRAD_SHARE = offset(LAYOUT, "grad_share");
        static final long WEIGHT_DECAY = offset(LAYOUT, "weight_decay");
        static final long FLAGS = offset(LAYOUT, "flags");

        private SgdGroupParams() {}
    }

    /** {@code sgd_chunk} */
    static final class SgdChunk {
        static final StructLayout LAYOUT = chunk("param", "grad", "momentum_buffer").withName("sgd_chunk");

        private SgdChunk() {}
    }

    /** {@code sgd_mixed_chunk} */
    static final class SgdMixedChunk {
        static final StructLayout LAYOUT = mixed("param", "grad", "momentum_buffer").withName("sgd_mixed_chunk");

        private SgdMixedChunk() {}
    }

    /** {@code sgd_mixed_group} */
    static final class SgdMixedGroup {
        static final StructLayout LAYOUT = MemoryLayout
                .structLayout(SgdGroupParams.LAYOUT.withName("scalars"), I32.withName("reserved"), I64.withName("step"))
                .withName("sgd_mixed_group");

        static final long STEP = offset(LAYOUT, "step");

        private SgdMixedGroup() {}
    }

    /** {@code sgd_mixed_params} */
    static final class SgdMixed {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("chunks"),
                I64.withName("chunk_count"),
                MemoryLayout.sequenceLayout(Sgd.GROUPS, SgdMixedGroup.LAYOUT).withName("groups"))
                .withName("sgd_mixed_params");

        private SgdMixed() {}
    }

    /** {@code softmax_params} */
    static final class Softmax {
        static final int LOG = 1;
        static final int WARP_CLASSES = 1024;
        static final int SEGMENT = 8192;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("input"),
                POINTER.withName("grad_output"), POINTER.withName("result"), I64.withName("outer"),
                I64.withName("classes"), I64.withName("inner"), I32.withName("flags"), I32.withName("reserved"))
                .withName("softmax_params");

        static final long INPUT = offset(LAYOUT, "input");
        static final long GRAD_OUTPUT = offset(LAYOUT, "grad_output");
        static final long RESULT = offset(LAYOUT, "result");
        static final long OUTER = offset(LAYOUT, "outer");
        static final long CLASSES = offset(LAYOUT, "classes");
        static final long INNER = offset(LAYOUT, "inner");
        static final long FLAGS = offset(LAYOUT, "flags");

        private Softmax() {}
    }

    /** {@code nll_loss_params} */
    static final class NllLoss {
        static final int MEAN = 1;
        static final int GRAD_LOSS_PER_ROW = 2;
        static final int TARGETS_I32 = 4;
        static final int TARGETS_I16 = 8;
        static final int TARGETS_U8 = 16;
        static final int SEGMENT = 8192;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("log_probabilities"),
                POINTER.withName("targets"), POINTER.withName("class_weights"), POINTER.withName("grad_loss"),
                POINTER.withName("row_loss"), POINTER.withName("loss"), POINTER.withName("grad_log_probabilities"),
                POINTER.withName("weight_parts"), POINTER.withName("loss_parts"), POINTER.withName("arrivals"),
                POINTER.withName("status"), I64.withName("outer"), I64.withName("classes"), I64.withName("inner"),
                I64.withName("ignore_index"), I32.withName("flags"), I32.withName("rows_per_block"))
                .withName("nll_loss_params");

        static final long LOG_PROBABILITIES = offset(LAYOUT, "log_probabilities");
        static final long TARGETS = offset(LAYOUT, "targets");
        static final long CLASS_WEIGHTS = offset(LAYOUT, "class_weights");
        static final long GRAD_LOSS = offset(LAYOUT, "grad_loss");
        static final long ROW_LOSS = offset(LAYOUT, "row_loss");
        static final long LOSS = offset(LAYOUT, "loss");
        static final long GRAD_LOG_PROBABILITIES = offset(LAYOUT, "grad_log_probabilities");
        static final long WEIGHT_PARTS = offset(LAYOUT, "weight_parts");
        static final long LOSS_PARTS = offset(LAYOUT, "loss_parts");
        static final long ARRIVALS = offset(LAYOUT, "arrivals");
        static final long STATUS = offset(LAYOUT, "status");
        static final long OUTER = offset(LAYOUT, "outer");
        static final long CLASSES = offset(LAYOUT, "classes");
        static final long INNER = offset(LAYOUT, "inner");
        static final long IGNORE_INDEX = offset(LAYOUT, "ignore_index");
        static final long FLAGS = offset(LAYOUT, "flags");
        static final long ROWS_PER_BLOCK = offset(LAYOUT, "rows_per_block");

        private NllLoss() {}
    }

    /** {@code guard_piece} */
    static final class GuardPiece {
        static final int F32 = 0;
        static final int BF16 = 1;
        static final int F16 = 2;
        static final int I16 = 3;
        static final int STOCHASTIC = 1 << 24;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("grad"), I32.withName("position"),
                I32.withName("count"), I32.withName("group"), I32.withName("dtype")).withName("guard_piece");

        static final long GRAD = offset(LAYOUT, "grad");
        static final long POSITION = offset(LAYOUT, "position");
        static final long COUNT = offset(LAYOUT, "count");
        static final long GROUP = offset(LAYOUT, "group");
        static final long DTYPE = offset(LAYOUT, "dtype");

        private GuardPiece() {}
    }

    /** {@code guard_control} */
    static final class GuardControl {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(F64.withName("lr"), I32.withName("disabled"),
                F32.withName("grad_divisor")).withName("guard_control");

        static final long LR = offset(LAYOUT, "lr");
        static final long DISABLED = offset(LAYOUT, "disabled");
        static final long GRAD_DIVISOR = offset(LAYOUT, "grad_divisor");

        private GuardControl() {}
    }

    /** {@code lr_schedule} */
    static final class Schedule {
        static final int CONSTANT = 0;
        static final int LINEAR = 1;
        static final int COSINE = 2;
        static final int STEP = 3;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(I64.withName("warmup_steps"),
                I64.withName("decay_steps"), F64.withName("warmup_start"), F64.withName("decay"),
                I32.withName("shape"), I32.withName("reserved")).withName("lr_schedule");

        static final long WARMUP_STEPS = offset(LAYOUT, "warmup_steps");
        static final long DECAY_STEPS = offset(LAYOUT, "decay_steps");
        static final long WARMUP_START = offset(LAYOUT, "warmup_start");
        static final long DECAY = offset(LAYOUT, "decay");
        static final long SHAPE = offset(LAYOUT, "shape");

        private Schedule() {}
    }

    /** {@code guard_state} */
    static final class GuardState {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(F64.withName("grad_norm"),
                I64.withName("growth_tracker"), I64.withName("skipped_steps"), F32.withName("grad_scale"),
                F32.withName("grad_factor"), I32.withName("found_inf"), I32.withName("reserved"))
                .withName("guard_state");

        static final long GRAD_NORM = offset(LAYOUT, "grad_norm");
        static final long GROWTH_TRACKER = offset(LAYOUT, "growth_tracker");
        static final long SKIPPED_STEPS = offset(LAYOUT, "skipped_steps");
        static final long GRAD_SCALE = offset(LAYOUT, "grad_scale");
        static final long FOUND_INF = offset(LAYOUT, "found_inf");

        private GuardState() {}
    }

    /** {@code grid_barrier} */
    static final class GridBarrier {
        static final StructLayout LAYOUT =
                MemoryLayout.structLayout(I32.withName("arrived"), I32.withName("passed")).withName("grid_barrier");

        private GridBarrier() {}
    }

    /** {@code accumulate_chunk} */
    static final class AccumulateChunk {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("accumulator"),
                POINTER.withName("grad"), I32.withName("count"), I32.withName("group"), I32.withName("dtype"),
                I32.withName("reserved")).withName("accumulate_chunk");

        static final long ACCUMULATOR = offset(LAYOUT, "accumulator");
        static final long GRAD = offset(LAYOUT, "grad");
        static final long COUNT = offset(LAYOUT, "count");
        static final long GROUP = offset(LAYOUT, "group");
        static final long DTYPE = offset(LAYOUT, "dtype");

        private AccumulateChunk() {}
    }

    /** {@code guard_params} */
    static final class Guard {
        static final int CHECK = 1;
        static final int SCALING = 2;
        static final int ZERO_GRAD = 4;
        static final int ACCUMULATE = 8;
        static final int ZERO_ADDED = 16;
        static final int PIECE = 1024;
        static final int SEGMENT = 8192;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(POINTER.withName("pieces"),
                POINTER.withName("first_pieces"), POINTER.withName("controls"), POINTER.withName("parts"),
                POINTER.withName("state"), POINTER.withName("steps"), POINTER.withName("schedules"),
                POINTER.withName("barrier"), POINTER.withName("sums"), I64.withName("sum_count"),
                I64.withName("segments"),
                I64.withName("group_count"), I64.withName("growth_interval"), F64.withName("max_norm"),
                F32.withName("clip_value"), F32.withName("growth_factor"), F32.withName("backoff_factor"),
                I32.withName("flags")).withName("guard_params");

        static final long PIECES = offset(LAYOUT, "pieces");
        static final long FIRST_PIECES = offset(LAYOUT, "first_pieces");
        static final long CONTROLS = offset(LAYOUT, "controls");
        static final long PARTS = offset(LAYOUT, "parts");
        static final long STATE = offset(LAYOUT, "state");
        static final long STEPS = offset(LAYOUT, "steps");
        static final long SCHEDULES = offset(LAYOUT, "schedules");
        static final long BARRIER = offset(LAYOUT, "barrier");
        static final long SUMS = offset(LAYOUT, "sums");
        static final long SUM_COUNT = offset(LAYOUT, "sum_count");
        static final long SEGMENTS = offset(LAYOUT, "segments");
        static final long GROUP_COUNT = offset(LAYOUT, "group_count");
        static final long GROWTH_INTERVAL = offset(LAYOUT, "growth_interval");
        static final long MAX_NORM = offset(LAYOUT, "max_norm");
        static final long CLIP_VALUE = offset(LAYOUT, "clip_value");
        static final long GROWTH_FACTOR = offset(LAYOUT, "growth_factor");
        static final long BACKOFF_FACTOR = offset(LAYOUT, "backoff_factor");
        static final long FLAGS = offset(LAYOUT, "flags");

        private Guard() {}
    }

    /** {@code guard_run} */
    static final class GuardRun {
        static final StructLayout LAYOUT = MemoryLayout.structLayout(I64.withName("first"), I64.withName("count"),
                GuardControl.LAYOUT.withName("control")).withName("guard_run");

        static final long FIRST = offset(LAYOUT, "first");
        static final long COUNT = offset(LAYOUT, "count");
        static final long CONTROL = offset(LAYOUT, "control");

        private GuardRun() {}
    }

    /** {@code guard_set_params} */
    static final class GuardSet {
        static final int RUNS_OF_A_LAUNCH = 64;

        static final StructLayout LAYOUT =
                MemoryLayout.structLayout(POINTER.withName("controls"), I64.withName("count"),
                        MemoryLayout.sequenceLayout(RUNS_OF_A_LAUNCH, GuardRun.LAYOUT).withName("runs"))
                        .withName("guard_set_params");

        static final long CONTROLS = offset(LAYOUT, "controls");
        static final long COUNT = offset(LAYOUT, "count");
        static final long RUNS = offset(LAYOUT, "runs");

        private GuardSet() {}
    }

    /** {@code adam_setting} */
    static final class AdamSetting {
        static final int PARAM_DECAY = 8;
        static final int EPSILON_HAT = 16;
        static final int DECAY_AFTER = 32;
        static final int ONNX = 64;

        static final StructLayout LAYOUT = MemoryLayout.structLayout(F64.withName("weight_decay"), F32.withName("w1"),
                F32.withName("w2"), F32.withName("eps"), F32.withName("grad_decay"), I32.withName("flags"),
                I32.withName("reserved")).withName("adam_setting");

        static final long WEIGHT_DECAY = offset(LAYOUT, "weight_decay");
        static final long W1 = offset(LAYOUT, "w1");
        static final long W2 = offset(LAYOUT, "w2");
        static final long EPS = offset(LAYOUT, "eps");
        static final long GRAD_DECAY = offset(LAYOUT, "grad_decay");
        static final long FLAGS = offset(LAYOUT, "flags");

        private AdamSetting() {}
    }

    /** {@code adam_guarded_params} */
    static final class AdamGuarded {
        static final StructLayout LAYOUT = guarded().withName("adam_guarded_params");

        private AdamGuarded() {}
    }

    /** {@code sgd_guarded_params} */
    static final class SgdGuarded {
        static final StructLayout LAYOUT = guarded().withName("sgd_guarded_params");

        private SgdGuarded() {}
    }

    /** {@link GuardedStep} writes it. */
    private static StructLayout guarded() {
        return MemoryLayout.structLayout(Guard.LAYOUT.withName("guard"), POINTER.withName("chunks"),
                I64.withName("chunk_count"), POINTER.withName("settings"), POINTER.withName("groups"));
    }

    /** A chunk that tells the types of its arrays: {@link ChunkTable} writes it, too. */
    private static StructLayout mixed(String... pointers) {
        List<MemoryLayout> fields = new ArrayList<>();
        for (String pointer : pointers) {
            fields.add(POINTER.withName(pointer));
        }
        fields.add(POINTER.withName("master"));
        for (String number : List.of("count", "group", "dtypes", "first", "key_first", "key_second")) {
            fields.add(I32.withName(number));
        }
        return MemoryLayout.structLayout(fields.toArray(new MemoryLayout[0]));
    }

    /** {@link ChunkTable} writes it: pointers, then how many elements, of which group. */
    private static StructLayout chunk(String... pointers) {
        List<MemoryLayout> fields = new ArrayList<>();
        for (String pointer : pointers) {
            fields.add(POINTER.withName(pointer));
        }
        fields.add(I32.withName("count"));
        fields.add(I32.withName("group"));
        return MemoryLayout.structLayout(fields.toArray(new MemoryLayout[0]));
    }
}
