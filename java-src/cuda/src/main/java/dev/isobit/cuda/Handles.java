package dev.isobit.cuda;

import java.lang.foreign.MemorySegment;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUstream;

/** JCuda's handles with the raw value visible: {@code getNativePointer()} is protected, so subclasses may read it. */
final class Handles {
    private Handles() {}

    static final class Context extends CUcontext {
        long raw() {
            return getNativePointer();
        }
    }

    static final class Module extends CUmodule {
        long raw() {
            return getNativePointer();
        }
    }

    static final class Function extends CUfunction {
        long raw() {
            return getNativePointer();
        }
    }

    static final class Stream extends CUstream {
        long raw() {
            return getNativePointer();
        }
    }

    static final class Event extends CUevent {
        long raw() {
            return getNativePointer();
        }
    }

    /** A device pointer, filled by the driver or made from a raw address, which JCuda takes only as an offset. */
    static final class DevicePointer extends CUdeviceptr {
        DevicePointer() {}

        DevicePointer(long address) {
            super(new CUdeviceptr(), address);
        }

        long raw() {
            return getNativePointer() + getByteOffset();
        }
    }

    /** A pointer to native host memory. */
    static final class HostPointer extends Pointer {
        HostPointer() {}

        HostPointer(long address) {
            super(address);
        }

        /** Of a native segment, which has to live until the call returns. */
        static HostPointer to(MemorySegment segment) {
            return new HostPointer(segment.address());
        }

        long raw() {
            return getNativePointer();
        }
    }
}
