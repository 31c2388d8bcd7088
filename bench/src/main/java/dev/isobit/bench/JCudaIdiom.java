package dev.isobit.bench;

import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * A peer: a launch as JCuda's samples write it, a pointer for each of a kernel's parameters, built for the call. The
 * parameters are those of a cross-entropy. JCuda must have been loaded.
 */
final class JCudaIdiom {
    private final CUfunction function = new CUfunction();
    private final CUstream stream = new CUstream();
    private final CUdeviceptr[] operands = new CUdeviceptr[10];
    private final long rows;
    private final long classes;

    JCudaIdiom(long rows, long classes) {
        this.rows = rows;
        this.classes = classes;
        for (int i = 0; i < operands.length; i++) {
            operands[i] = new CUdeviceptr();
        }
    }

    /** Launches; the result is the driver's. */
    int launch() {
        Pointer parameters = Pointer.to(Pointer.to(operands[0]), Pointer.to(operands[1]), Pointer.to(operands[2]),
                Pointer.to(operands[3]), Pointer.to(operands[4]), Pointer.to(operands[5]), Pointer.to(operands[6]),
                Pointer.to(operands[7]), Pointer.to(operands[8]), Pointer.to(operands[9]),
                Pointer.to(new long[] {rows}), Pointer.to(new long[] {classes}), Pointer.to(new long[] {-100}),
                Pointer.to(new int[] {0}), Pointer.to(new int[] {0}), Pointer.to(new int[] {0}));
        return JCudaDriver.cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, 0, stream, parameters, null);
    }
}
