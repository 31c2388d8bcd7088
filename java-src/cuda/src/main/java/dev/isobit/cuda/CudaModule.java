package dev.isobit.cuda;

import dev.isobit.IsobitException;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;

/** The PTX of one operation, loaded for one device. Its functions are looked up once. Thread-safe. */
final class CudaModule {
    private final CudaDriver driver;
    private final Handles.Module handle;
    private final Map<String, CudaFunction> functions = new HashMap<>();

    private CudaModule(CudaDriver driver, Handles.Module handle) {
        this.driver = driver;
        this.handle = handle;
    }

    /** Where the PTX of an operation and target lies on the class path. */
    static String resource(String operation, String target) {
        return "/dev/isobit/cuda/ptx/" + operation + "." + target + ".ptx";
    }

    /**
     * Loads a module.
     *
     * @param user the operation of this library that asks
     * @param op the operation whose PTX it is, such as {@code adam}
     * @param target the PTX's target, such as {@code sm_75}
     */
    static CudaModule load(CudaDriver driver, HandleRegistry handles, String user, String op, String target) {
        String resource = resource(op, target);
        byte[] ptx;
        try (InputStream in = CudaModule.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new IsobitException(user + ": there is no " + resource + " on the class path");
            }
            ptx = in.readAllBytes();
        } catch (IOException e) {
            throw new IsobitException(user + ": " + resource + " cannot be read: " + e, e);
        }
        Handles.Module handle = driver.loadModule(user, op + "." + target + ".ptx", ptx);
        CudaModule module = new CudaModule(driver, handle);
        handles.own(module, "module " + op, () -> driver.unloadModule("Backend.close", handle));
        return module;
    }

    /** An entry by name. */
    synchronized CudaFunction function(String user, String name) {
        CudaFunction function = functions.get(name);
        if (function == null) {
            function = new CudaFunction(name, driver.function(user, handle, name));
            functions.put(name, function);
        }
        return function;
    }
}
