package dev.isobit.cuda;

import java.lang.ref.Reference;

/** Launches through {@code java.lang.foreign}, over JCuda's handles as bare numbers. */
final class ForeignLauncher implements Launcher {
    private final CudaLibrary library;
    private final long context;
    private final long stream;
    private final ArgumentBlock arguments;

    ForeignLauncher(CudaDriver driver, Handles.Stream stream, ArgumentBlock arguments) {
        this.library = driver.library();
        this.context = driver.context().raw();
        this.stream = stream.raw();
        this.arguments = arguments;
    }

    @Override
    public int launch(CudaFunction function, int grid, int block, int sharedBytes) {
        try {
            int result = library.setCurrentContext(context);
            return result != 0
                    ? result
                    : library.launchKernel(function.handle().raw(), grid, block, sharedBytes, stream,
                            arguments.pointersAddress());
        } finally {
            Reference.reachabilityFence(arguments);
        }
    }

    @Override
    public int launchCooperative(CudaFunction function, int grid, int block) {
        try {
            int result = library.setCurrentContext(context);
            return result != 0
                    ? result
                    : library.launchCooperative(function.handle().raw(), grid, block, stream,
                            arguments.pointersAddress());
        } finally {
            Reference.reachabilityFence(arguments);
        }
    }
}
