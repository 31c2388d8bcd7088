package dev.isobit.sim;

import java.util.Locale;

/** Results of the driver, those that the simulator gives or that can be asked of it. */
public enum Result {
    /** The call did what it was asked to. */
    SUCCESS(0),
    /** An argument is out of range, or an address belongs to no memory. */
    INVALID_VALUE(1),
    /** There is not enough memory. */
    OUT_OF_MEMORY(2),
    /** {@code cuInit} was not called. */
    NOT_INITIALIZED(3),
    /** The driver is shutting down. */
    DEINITIALIZED(4),
    /** There is no device. */
    NO_DEVICE(100),
    /** There is no such device. */
    INVALID_DEVICE(101),
    /** What was to be loaded is no PTX. */
    INVALID_IMAGE(200),
    /** No context is current, or the one that is has been destroyed. */
    INVALID_CONTEXT(201),
    /** An error in memory that could not be corrected; takes the context along. */
    ECC_UNCORRECTABLE(214),
    /** The compiler refuses the PTX. */
    INVALID_PTX(218),
    /** The PTX is newer than the driver. */
    UNSUPPORTED_PTX_VERSION(222),
    /** A handle is none. */
    INVALID_HANDLE(400),
    /** Not at this time: of capturing a stream, where it is captured already or is not. */
    ILLEGAL_STATE(401),
    /** There is nothing of this name. */
    NOT_FOUND(500),
    /** Queued work is not finished. */
    NOT_READY(600),
    /** A kernel used memory that is not there; takes the context along. */
    ILLEGAL_ADDRESS(700),
    /** A launch needs more than the device has. */
    LAUNCH_OUT_OF_RESOURCES(701),
    /** A kernel did not end; takes the context along. */
    LAUNCH_TIMEOUT(702),
    /** The context was destroyed. */
    CONTEXT_IS_DESTROYED(709),
    /** An assertion of a kernel failed; takes the context along. */
    ASSERT(710),
    /** A kernel used an address that is no multiple of the access; takes the context along. */
    MISALIGNED_ADDRESS(716),
    /** A kernel failed; takes the context along. */
    LAUNCH_FAILED(719),
    /** A cooperative launch has more blocks than run at once. */
    COOPERATIVE_LAUNCH_TOO_LARGE(720),
    /** The driver does not have this. */
    NOT_SUPPORTED(801),
    /** A call that must not be made while a stream is captured. */
    STREAM_CAPTURE_UNSUPPORTED(900),
    /** A capture met such a call. */
    STREAM_CAPTURE_INVALIDATED(901),
    /** Something else. */
    UNKNOWN(999);

    private final int code;

    Result(int code) {
        this.code = code;
    }

    /**
     * The number that the driver returns.
     *
     * @return a {@code CUresult}
     */
    public int code() {
        return code;
    }

    /** What {@code cuGetErrorName} says. */
    String symbol() {
        return this == SUCCESS ? "CUDA_SUCCESS" : "CUDA_ERROR_" + name();
    }

    /** What {@code cuGetErrorString} says. */
    String text() {
        return this == SUCCESS ? "no error" : name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }

    /** Whether the driver refuses all further work in the context. */
    boolean losesContext() {
        return switch (this) {
            case DEINITIALIZED, INVALID_CONTEXT, ECC_UNCORRECTABLE, ILLEGAL_ADDRESS, LAUNCH_TIMEOUT,
                    CONTEXT_IS_DESTROYED, ASSERT,
                    MISALIGNED_ADDRESS, LAUNCH_FAILED ->
                true;
            default -> false;
        };
    }
}
