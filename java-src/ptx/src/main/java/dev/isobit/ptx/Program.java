package dev.isobit.ptx;

import java.util.Map;

/** An entry with all functions that it calls, decoded. Immutable once made; shared by launches. */
final class Program {
    final Entry entry;
    final Instruction[] code;
    final Slots slots;
    /** Where each variable lies in its state space; global variables are placed by the device. */
    final Map<Variable, Long> offsets;
    final int staticSharedBytes;
    final int localBytes;

    Program(Entry entry, Instruction[] code, Slots slots, Map<Variable, Long> offsets, int staticSharedBytes,
            int localBytes) {
        this.entry = entry;
        this.code = code;
        this.slots = slots;
        this.offsets = offsets;
        this.staticSharedBytes = staticSharedBytes;
        this.localBytes = localBytes;
    }
}
