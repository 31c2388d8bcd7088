package dev.isobit.cuda;

import java.lang.ref.Reference;
import jcuda.driver.CUstream;
import jcuda.driver.JCudaDriver;

/**
 * Launches through JCuda. The array of kernel arguments is handed over as a bare native pointer: JCuda converts an
 * array of its own pointers anew at each call, which costs more than the rest of the launch.
 */
final class JCudaLauncher implements Launcher {
    private final Handles.Context context;
    private final CUstream stream;
    private final ArgumentBlock arguments;
    private final Handles.HostPointer pointers;

    JCudaLauncher(CudaDriver driver, CUstream stream, ArgumentBlock arguments) {
        this.context = driver.context();
        this.stream = stream;
        this.arguments = arguments;
        this.pointers = new Handles.HostPointer(arguments.pointersAddress());
    }

    @Override
    public int launch(CudaFunction function, int grid, int block, int sharedBytes) {
        try {
            int result = JCudaDriver.cuCtxSetCurrent(context);
            return result != 0
                    ? result
                    : JCudaDriver.cuLaunchKernel(function.handle(), grid, 1, 1, block, 1, 1, sharedBytes, stream,
                            pointers, null);
        } catch (jcuda.CudaException e) {
            return CudaDriver.result(e);
        } finally {
            Reference.reachabilityFence(arguments);
        }
    }

    @Override
    public int launchCooperative(CudaFunction function, int grid, int block) {
        try {
            int result = JCudaDriver.cuCtxSetCurrent(context);
            return result != 0
                    ? result
                    : JCudaDriver.cuLaunchCooperativeKernel(function.handle(), grid, 1, 1, block, 1, 1, 0, stream,
                            pointers);
        } catch (jcuda.CudaException e) {
            return CudaDriver.result(e);
        } finally {
            Reference.reachabilityFence(arguments);
        }
    }
}
