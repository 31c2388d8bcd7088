package dev.isobit.cpu;

import dev.isobit.jvm.VmOption;
import dev.isobit.math.Fma;
import org.jspecify.annotations.Nullable;

/**
 * Which code runs on this JVM, and why; chosen once. The Vector API needs the incubator module, hardware FMA and C2:
 * without any of these its operations are a thousand times slower than scalar code. The system property
 * {@code isobit.cpu.path} forces {@code scalar} or {@code vector}. The bits are the same.
 */
final class CpuPath {
    private static final System.Logger LOG = System.getLogger("isobit");
    /** With fewer float lanes than this (MaxVectorSize=8) vectors bring nothing. */
    private static final int FEWEST_LANES = 4;

    private final @Nullable String whyScalar;
    private final int lanes;

    private CpuPath(@Nullable String whyScalar, int lanes) {
        this.whyScalar = whyScalar;
        this.lanes = lanes;
    }

    private static final class Chosen {
        static final CpuPath PATH = choose();

        static {
            LOG.log(System.Logger.Level.INFO, "cpu path: {0}", PATH.description());
        }
    }

    static CpuPath chosen() {
        return Chosen.PATH;
    }

    /** Why the path that is forced cannot run, or null. */
    static @Nullable String refusal() {
        String forced = forced();
        return switch (forced) {
            case "", "scalar" -> null;
            case "vector" -> noModule();
            default -> "isobit.cpu.path = \"" + forced + "\" is neither scalar nor vector";
        };
    }

    private static String forced() {
        return System.getProperty("isobit.cpu.path", "");
    }

    private static CpuPath choose() {
        return switch (forced()) {
            case "scalar" -> new CpuPath("isobit.cpu.path=scalar", 1);
            case "vector" -> new CpuPath(null, VectorMath.SPECIES.length());
            case "" -> {
                String obstacle = obstacle();
                yield obstacle != null ? new CpuPath(obstacle, 1) : new CpuPath(null, VectorMath.SPECIES.length());
            }
            default -> throw new IllegalArgumentException(refusal());
        };
    }

    private static @Nullable String noModule() {
        ModuleLayer layer = CpuPath.class.getModule().getLayer();
        boolean found = layer != null && layer.findModule("jdk.incubator.vector").isPresent()
                || ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        return found
                ? null
                : "the module jdk.incubator.vector is not there: start java with --add-modules jdk.incubator.vector";
    }

    private static @Nullable String obstacle() {
        String noModule = noModule();
        if (noModule != null) {
            return noModule;
        }
        if (!Fma.HARDWARE) {
            return "the JVM has no hardware FMA";
        }
        String noC2 = noC2();
        if (noC2 != null) {
            return noC2;
        }
        int found = VectorMath.SPECIES.length();
        return found < FEWEST_LANES ? "vectors have only " + found + " float lanes" : null;
    }

    private static @Nullable String noC2() {
        String tier = VmOption.get("TieredStopAtLevel");
        if (System.getProperty("java.vm.info", "").startsWith("interpreted mode")) {
            return "the JVM only interprets (-Xint)";
        }
        if (tier != null && Integer.parseInt(tier) < 4) {
            return "the JVM has no C2 compiler (TieredStopAtLevel=" + tier + ")";
        }
        return null;
    }

    CpuKernels kernels() {
        return whyScalar == null ? new VectorKernels() : new ScalarKernels();
    }

    String description() {
        return whyScalar == null
                ? "Vector API, " + lanes * Float.SIZE + "-bit vectors (" + lanes + " lanes)"
                : "scalar code" + (Fma.HARDWARE ? "" : " with emulated FMA") + ": " + whyScalar;
    }
}
