package dev.isobit;

import java.util.Arrays;

/** Checks of operands, with messages that name operation, operand and value. */
final class Operands {
    private final String operation;
    private final Backend backend;

    Operands(String operation, Backend backend) {
        this.operation = operation;
        this.backend = backend;
    }

    /** Memory of the right device, alive, the calling thread's to use, and writable where it is written. */
    void memory(String name, Tensor tensor, boolean written) {
        Memory memory = tensor.memory();
        if (!memory.isAlive()) {
            throw new IllegalStateException(operation + ": the memory of " + name + " " + tensor + " is closed");
        }
        if (!backend.accepts(memory)) {
            throw new IllegalArgumentException(operation + ": " + name + " " + tensor + " lies in " + memory
                    + ", which backend " + backend.name() + " cannot use; copy it with Backend.copy");
        }
        if (!isAccessible(memory)) {
            throw new WrongThreadException(
                    operation + ": " + name + " " + tensor + " is confined to another thread than "
                            + Thread.currentThread().getName());
        }
        if (written && memory instanceof HostMemory host && host.segment().isReadOnly()) {
            throw new IllegalArgumentException(operation + ": " + name + " " + tensor + " is read-only memory");
        }
    }

    /** Whether the calling thread may touch the memory: a confined arena belongs to one thread. */
    static boolean isAccessible(Memory memory) {
        return !(memory instanceof HostMemory host) || host.segment().isAccessibleBy(Thread.currentThread());
    }

    /** Whether losses take logits of this type: those of the backend, and 16 bits, from which all compute in its own. */
    boolean takesLogits(DType dtype) {
        return dtype == DType.BF16 || dtype == DType.F16 || backend.dtypes().contains(dtype);
    }

    /** What is beside logits: F32 whatever their type; a float64 backend takes F64 as well, and beside F64 alone. */
    void beside(String nameOfLogits, Tensor logits, String name, Tensor tensor, String wanted) {
        boolean isDouble = logits.dtype() == DType.F64;
        dtype(name, tensor, tensor.dtype() == DType.F32 && !isDouble || isReference(tensor),
                isDouble ? "F64 beside " + nameOfLogits + " of F64" : wanted);
    }

    /** Whether it has the type of a float64 backend, on one. */
    boolean isReference(Tensor tensor) {
        return tensor.dtype() == DType.F64 && backend.dtypes().contains(DType.F64);
    }

    /** For messages: the types that a backend computes in. */
    static String floatTypes(Backend backend) {
        return backend.dtypes().contains(DType.F64) ? "F32, F64" : "F32";
    }

    void dtype(String name, Tensor tensor, boolean supported, String wanted) {
        if (!supported) {
            throw new UnsupportedOperationException(operation + ": " + name + " is " + tensor.dtype() + "; backend "
                    + backend.name() + " takes " + wanted);
        }
    }

    void require(boolean condition, String name, Tensor tensor, String wanted) {
        if (!condition) {
            throw new IllegalArgumentException(operation + ": " + name + " has shape "
                    + Arrays.toString(tensor.shape()) + ", " + wanted + " is needed");
        }
    }

    void disjoint(String nameA, Tensor a, String nameB, Tensor b) {
        if (a.overlaps(b)) {
            throw new IllegalArgumentException(
                    operation + ": " + nameA + " " + a + " overlaps " + nameB + " " + b);
        }
    }

    IllegalArgumentException refuse(String what) {
        return new IllegalArgumentException(operation + ": " + what);
    }
}
