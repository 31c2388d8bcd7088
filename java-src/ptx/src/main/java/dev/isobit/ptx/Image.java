package dev.isobit.ptx;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;

/**
 * A module loaded on a device: its global variables have memory there, holding their initial values. Loading a module
 * twice makes two sets of variables. Owned by the device; {@link #close} frees the variables.
 */
public final class Image implements AutoCloseable {
    private final Device device;
    private final PtxModule module;
    private final Map<Variable, Long> addresses = new HashMap<>();
    /** The constant bank. */
    final byte[] constants;
    private boolean closed;

    Image(Device device, PtxModule module) {
        this.device = device;
        this.module = module;
        constants = module.constants.clone();
        for (Variable variable : module.variables.values()) {
            if (variable.space == Space.GLOBAL) {
                long address = device.allocate(Math.max(1, variable.size), variable.name);
                device.memory(address, variable.size).fill((byte) 0);
                addresses.put(variable, address);
            }
        }
        for (Variable variable : module.variables.values()) {
            if (variable.initial == null) {
                continue;
            }
            ByteBuffer bytes = ByteBuffer.wrap(variable.initial.clone()).order(ByteOrder.LITTLE_ENDIAN);
            for (Variable.Relocation r : variable.relocations) {
                long address = (r.target().space == Space.GLOBAL
                        ? addresses.get(r.target())
                        : module.offsets.get(r.target())) + r.addend();
                address += r.generic() ? r.target().space.window() : 0;
                if (r.bytes() == 8) {
                    bytes.putLong(r.at(), address);
                } else {
                    bytes.putInt(r.at(), (int) address);
                }
            }
            if (variable.space == Space.GLOBAL) {
                device.memory(addresses.get(variable), variable.size)
                        .copyFrom(java.lang.foreign.MemorySegment.ofArray(bytes.array()));
            } else {
                System.arraycopy(bytes.array(), 0, constants, module.offsets.get(variable).intValue(),
                        bytes.capacity());
            }
        }
    }

    /** {@return the module} */
    public PtxModule module() {
        return module;
    }

    /**
     * Address of a {@code .global} variable.
     *
     * @param variable its name in the PTX
     * @return its address in global memory
     * @throws IllegalArgumentException when the module has none of this name
     */
    public long address(String variable) {
        return address(global(variable));
    }

    /**
     * Size of a {@code .global} variable.
     *
     * @param variable its name in the PTX
     * @return its size in bytes
     * @throws IllegalArgumentException when the module has none of this name
     */
    public long bytes(String variable) {
        return global(variable).size;
    }

    private Variable global(String name) {
        Variable variable = module.variables.get(name);
        if (variable == null || variable.space != Space.GLOBAL) {
            throw new IllegalArgumentException("no global variable " + name);
        }
        return variable;
    }

    long address(Variable variable) {
        return addresses.get(variable);
    }

    boolean isClosed() {
        return closed;
    }

    /** Frees the module's variables. Idempotent. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            addresses.values().forEach(device::free);
        }
    }
}
