package dev.isobit.cuda;

import dev.isobit.IsobitException;

/**
 * A call into the CUDA driver failed. The message names the operation of this library, the driver's function and
 * operands, and the driver's word for the error.
 */
public final class CudaException extends IsobitException {
    private static final long serialVersionUID = 1;
    /** The operation of this library. */
    private final String operation;
    /** The driver's result code. */
    private final int result;
    /** What failed in it. */
    private final String detail;

    /**
     * Makes an exception.
     *
     * @param operation the operation of this library, such as {@code Backend.copy}
     * @param result the driver's result code, a {@code CUresult}
     * @param detail the driver's function, its operands, the name of the error
     */
    public CudaException(String operation, int result, String detail) {
        super(message(operation, result, detail));
        this.operation = operation;
        this.result = result;
        this.detail = detail;
    }

    CudaException(String operation, int result, String detail, Throwable cause) {
        super(message(operation, result, detail), cause);
        this.operation = operation;
        this.result = result;
        this.detail = detail;
    }

    private static String message(String operation, int result, String detail) {
        return operation + ": " + detail + " (CUDA error " + result + ")";
    }

    /**
     * The operation of this library that failed.
     *
     * @return a class and method, such as {@code Backend.copy}
     */
    public String operation() {
        return operation;
    }

    /**
     * The driver's result code.
     *
     * @return a {@code CUresult}, not 0
     */
    public int result() {
        return result;
    }

    /**
     * What failed in the operation.
     *
     * @return the driver's function, its operands, the name of the error
     */
    public String detail() {
        return detail;
    }

    /**
     * Whether the error took the context along: every later call on that device in this process fails until the
     * backend is closed and opened again, or, where other code holds the context too, until the process ends.
     *
     * @return true if the context is lost
     */
    public boolean contextLost() {
        return losesContext(result);
    }

    /** The results after which the driver refuses all further work in the context. */
    static boolean losesContext(int result) {
        return switch (result) {
            case 4, // DEINITIALIZED
                    201, // INVALID_CONTEXT: somebody reset the primary context
                    214, // ECC_UNCORRECTABLE
                    220, // NVLINK_UNCORRECTABLE
                    226, // CONTAINED
                    700, // ILLEGAL_ADDRESS
                    702, // LAUNCH_TIMEOUT
                    709, // CONTEXT_IS_DESTROYED
                    710, // ASSERT
                    714, // HARDWARE_STACK_ERROR
                    715, // ILLEGAL_INSTRUCTION
                    716, // MISALIGNED_ADDRESS
                    717, // INVALID_ADDRESS_SPACE
                    718, // INVALID_PC
                    719, // LAUNCH_FAILED
                    721, // TENSOR_MEMORY_LEAK
                    911 -> // EXTERNAL_DEVICE
                true;
            default -> false;
        };
    }
}
