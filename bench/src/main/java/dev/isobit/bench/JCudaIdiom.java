package dev.isobit.bench;

import dev.isobit.cuda.CudaStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * A peer: a launch as JCuda's samples write it, a pointer for each of a kernel's parameters, built for the call. The
 * parameters are those of a cross-entropy; the kernel does nothing. JCuda must have been loaded, and the context of the
 * stream's device be current on this thread, as every call of a backend leaves it.
 */
final class JCudaIdiom implements AutoCloseable {
    private static final int POINTERS = 10;
    private static final String PTX = ".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry sixteen(\n"
            + IntStream.range(0, 16)
                    .mapToObj(i -> ".param .u" + (i < POINTERS + 3 ? 64 : 32) + " parameter" + i)
                    .collect(Collectors.joining(",\n"))
            + ")\n.maxntid 128, 1, 1\n{\n\tret;\n}\n";

    private final CUmodule module = new CUmodule();
    private final CUfunction function = new CUfunction();
    private final CUstream queue;
    private final CUdeviceptr[] operands = new CUdeviceptr[POINTERS];
    private final long rows;
    private final long classes;

    /** Launches go to the legacy default stream, which JCuda has an object for; the given stream waits for that one. */
    JCudaIdiom(CudaStream after, long rows, long classes) {
        this.rows = rows;
        this.classes = classes;
        after.synchronize();
        this.queue = new CUstream();
        byte[] text = Arrays.copyOf(PTX.getBytes(StandardCharsets.US_ASCII), PTX.length() + 1);
        check("cuModuleLoadDataEx", JCudaDriver.cuModuleLoadDataEx(module, Pointer.to(text), 0, new int[0],
                Pointer.to(new int[0])));
        check("cuModuleGetFunction", JCudaDriver.cuModuleGetFunction(function, module, "sixteen"));
        for (int i = 0; i < operands.length; i++) {
            operands[i] = new CUdeviceptr();
        }
    }

    private static void check(String call, int result) {
        if (result != 0) {
            throw new IllegalStateException(call + ": " + CUresult.stringFor(result));
        }
    }

    /** Launches. */
    void launch() {
        Pointer parameters = Pointer.to(Pointer.to(operands[0]), Pointer.to(operands[1]), Pointer.to(operands[2]),
                Pointer.to(operands[3]), Pointer.to(operands[4]), Pointer.to(operands[5]), Pointer.to(operands[6]),
                Pointer.to(operands[7]), Pointer.to(operands[8]), Pointer.to(operands[9]),
                Pointer.to(new long[] {rows}), Pointer.to(new long[] {classes}), Pointer.to(new long[] {-100}),
                Pointer.to(new int[] {0}), Pointer.to(new int[] {0}), Pointer.to(new int[] {0}));
        check("cuLaunchKernel",
                JCudaDriver.cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, 0, queue, parameters, null));
    }

    @Override
    public void close() {
        check("cuModuleUnload", JCudaDriver.cuModuleUnload(module));
    }
}
