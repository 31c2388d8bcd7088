package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.AdamParameter;
import dev.isobit.DType;
import dev.isobit.SgdParameter;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.math.RoundingNoise;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;

/** A parameter of an optimizer on both sides: 0..4 are param, grad and moments, 5 is a master, remainders or nothing. */
final class MixedParameter {
    static final DType[] F32 = {DType.F32, DType.F32, DType.F32, DType.F32, DType.F32, null};
    static final DType[] VALUES = {DType.F32, DType.BF16, DType.F16};
    private static final DType[] MOMENTS = {DType.F32, DType.BF16};
    private static final int MASTER = 5;
    private static final int STOCHASTIC = 1 << 24;

    final int count;
    final Tensor[] host = new Tensor[6];
    final PtxKernels.Buffer[] device = new PtxKernels.Buffer[6];

    /**
     * @param types of each array, the last null where there is none
     * @param offs elements that each starts behind a boundary
     * @param special values that are there now and then; or null
     */
    MixedParameter(PtxKernels kernels, int count, DType[] types, int[] offs, Random random, float[] special) {
        this.count = count;
        for (int a = 0; a < types.length; a++) {
            if (types[a] == null) {
                continue;
            }
            float[] values = new float[count];
            for (int i = 0; i < count; i++) {
                float x = (float) random.nextGaussian();
                values[i] = special != null && random.nextInt(5) == 0
                        ? special[random.nextInt(special.length)]
                        : a == 3 || a == 4 ? x * x : x;
            }
            int size = types[a].byteSize();
            host[a] = types[a] == DType.I16 ? remainders(values) : HostTensors.of(types[a], values, count);
            device[a] = kernels.new Buffer((long) size * count, (long) size * offs[a]);
            upload(a);
        }
    }

    /** One of 72 mixes of types, with what a parameter of that type may be kept in beside. */
    static DType[] types(int mix, Random random) {
        DType param = VALUES[mix % 3];
        DType master = switch (param) {
            case BF16 -> new DType[] {null, DType.F32, DType.I16}[random.nextInt(3)];
            case F16 -> random.nextBoolean() ? null : DType.F32;
            default -> null;
        };
        return new DType[] {param, VALUES[mix / 3 % 3], MOMENTS[mix / 9 % 2], MOMENTS[mix / 18 % 2],
            MOMENTS[mix / 36 % 2], master};
    }

    /** Of any types, all arrays at a boundary, all as many elements behind one, all but one of them, or each somewhere. */
    static MixedParameter any(PtxKernels kernels, int count, Random random, float[] special) {
        int kind = random.nextInt(4);
        int same = random.nextInt(8);
        int other = random.nextInt(6);
        int[] offs = new int[6];
        Arrays.setAll(offs, i -> kind == 0 ? 0 : kind == 1 || kind == 2 && i != other ? same : random.nextInt(8));
        return new MixedParameter(kernels, count, types(random.nextInt(72), random), offs, random, special);
    }

    boolean isMixed() {
        return Arrays.stream(host).anyMatch(t -> t != null && t.dtype() != DType.F32);
    }

    /** What lies between numbers of BF16 and floats. */
    private static Tensor remainders(float[] values) {
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (short) Float.floatToRawIntBits(values[i]);
        }
        return Tensor.of(DType.I16, MemorySegment.ofArray(bits), values.length);
    }

    private void upload(int array) {
        device[array].memory().copyFrom(host[array].segment());
    }

    void setGradient(float[] values) {
        host[1].segment().copyFrom(HostTensors.of(host[1].dtype(), values, count).segment());
        upload(1);
    }

    /** The device has the gradient as it was, and what is added to it. */
    void addOnHost(float[] micro) {
        float[] sum = HostTensors.floats(host[1]);
        for (int i = 0; i < count; i++) {
            sum[i] += micro[i];
            sum[i] = sum[i] != sum[i] ? Float.NaN : sum[i];
        }
        host[1].segment().copyFrom(MemorySegment.ofArray(sum));
    }

    AdamParameter adam(boolean amsgrad) {
        return new AdamParameter("p", host[0], host[1], host[2], host[3], amsgrad ? host[4] : null)
                .withMaster(host[MASTER]);
    }

    SgdParameter sgd(boolean momentum) {
        return new SgdParameter("p", host[0], host[1], momentum ? host[2] : null).withMaster(host[MASTER]);
    }

    /**
     * Writes a chunk as adam_params.h and sgd_params.h say.
     *
     * @param names of the fields of the arrays that the optimizer has, as many as it has
     * @param mixed whether it is one of several types
     * @param rounding of the group, or null
     * @param number of the parameter in the optimizer
     */
    void writeChunk(PtxKernels.Struct to, String[] names, boolean mixed, int from, int length, int group,
            StochasticRounding rounding, int number) {
        int dtypes = 0;
        for (int a = 0; a < names.length; a++) {
            to.set(names[a], at(a, from));
            dtypes |= code(host[a].dtype()) << 4 * a;
        }
        to.set("count", length).set("group", group);
        if (!mixed) {
            return;
        }
        to.set("master", host[MASTER] == null ? 0 : at(MASTER, from));
        int place = to.has("momentum_buffer") ? 3 : 5;
        dtypes |= host[MASTER] == null ? 0 : code(host[MASTER].dtype()) << 4 * place;
        if (rounding != null && host[0].dtype() == DType.BF16 && host[MASTER] == null) {
            long key = RoundingNoise.key(rounding.seed(), number, from);
            dtypes |= STOCHASTIC;
            to.set("first", from).set("key_first", (int) key).set("key_second", (int) (key >>> 32));
        }
        to.set("dtypes", dtypes);
    }

    long at(int array, int element) {
        return device[array].address + (long) element * host[array].dtype().byteSize();
    }

    static int code(DType dtype) {
        return switch (dtype) {
            case BF16 -> 1;
            case F16 -> 2;
            case I16 -> 3;
            default -> 0;
        };
    }

    void compare(String what) {
        for (int a = 0; a < host.length; a++) {
            if (host[a] != null) {
                long at = host[a].segment().mismatch(device[a].view());
                if (at >= 0) {
                    fail(what + ", array " + a + ", element " + at / host[a].dtype().byteSize() + " of " + count + ", "
                            + Arrays.stream(host).map(t -> t == null ? null : t.dtype()).toList());
                }
            }
        }
    }

    void free() {
        for (PtxKernels.Buffer array : device) {
            if (array != null) {
                assertTrue(array.isUntouchedBefore());
                array.free();
            }
        }
    }
}
