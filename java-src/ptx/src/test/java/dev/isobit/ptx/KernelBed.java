package dev.isobit.ptx;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A device with a loaded test program, and memory of whole numbers. */
final class KernelBed implements AutoCloseable {
    final Device device;
    final PtxModule module;
    private final Arena arena = Arena.ofConfined();

    /** Loads a text without its header lines. */
    KernelBed(String target, String body) {
        this(new Device(), target, body);
    }

    /** The same on a device of the test's choice. */
    KernelBed(Device device, String target, String body) {
        this.device = device;
        module = Assembler.load(".version 8.3\n.target " + target + "\n.address_size 64\n" + body);
    }

    KernelBed(PtxModule module) {
        device = new Device();
        this.module = module;
    }

    /** Device memory holding these numbers. */
    long ints(int... values) {
        long address = device.allocate(4L * values.length);
        device.memory(address, 4L * values.length).copyFrom(MemorySegment.ofArray(values));
        return address;
    }

    int[] read(long address, int count) {
        return device.view(address, 4L * count).toArray(ValueLayout.JAVA_INT);
    }

    float[] readFloats(long address, int count) {
        return device.view(address, 4L * count).toArray(ValueLayout.JAVA_FLOAT);
    }

    /** Launches with arguments of 4 or 8 bytes, as the entry declares them. */
    LaunchReport launch(String entry, Launch launch, long... arguments) {
        return device.launch(module.entry(entry), launch, block(module.entry(entry), arguments));
    }

    MemorySegment block(Entry entry, long... arguments) {
        MemorySegment block = arena.allocate(Math.max(1, entry.parameterBytes()), 16);
        for (int i = 0; i < arguments.length; i++) {
            Entry.Parameter p = entry.parameters().get(i);
            if (p.bytes() == 8) {
                block.set(ValueLayout.JAVA_LONG, p.offset(), arguments[i]);
            } else {
                block.set(ValueLayout.JAVA_INT, p.offset(), (int) arguments[i]);
            }
        }
        return block;
    }

    @Override
    public void close() {
        arena.close();
        device.close();
    }
}
