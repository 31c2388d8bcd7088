package dev.isobit.bench;

import dev.isobit.BackendOptions;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.cuda.CudaProvider;
import dev.isobit.cuda.LaunchMethod;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/**
 * The recording driver of {@code native-build/driver} as this process's driver: told not to record, it returns from a
 * launch at once, so that what is left is what a launch costs the host.
 */
@SuppressWarnings("restricted")
final class DriverStandIn {
    private static final Path LIBRARY = NativeBuild.run("build-recorder",
            Path.of(System.getProperty("isobit.home"), "target", "recorder").toString());
    private static final SymbolLookup SYMBOLS = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
    private static final MethodHandle SET_RECORDING =
            bind("recorder_set_recording", FunctionDescriptor.ofVoid(ValueLayout.JAVA_INT));
    private static final MethodHandle LAUNCH_COUNT =
            bind("recorder_launch_count", FunctionDescriptor.of(ValueLayout.JAVA_LONG));

    private DriverStandIn() {}

    private static MethodHandle bind(String name, FunctionDescriptor descriptor) {
        return Linker.nativeLinker().downcallHandle(SYMBOLS.findOrThrow(name), descriptor);
    }

    static CudaBackend open(LaunchMethod method) {
        return new CudaProvider("cuda", LIBRARY).open(BackendOptions.defaults(), method);
    }

    static void setRecording(boolean on) {
        try {
            SET_RECORDING.invokeExact(on ? 1 : 0);
        } catch (Throwable e) {
            throw new IllegalStateException("recorder_set_recording", e);
        }
    }

    /** How many launches arrive during a call. */
    static long launchesOf(Runnable call) {
        setRecording(true);
        long before = launches();
        call.run();
        return launches() - before;
    }

    private static long launches() {
        try {
            return (long) LAUNCH_COUNT.invokeExact();
        } catch (Throwable e) {
            throw new IllegalStateException("recorder_launch_count", e);
        }
    }
}
