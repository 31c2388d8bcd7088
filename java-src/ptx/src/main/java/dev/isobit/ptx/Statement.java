package dev.isobit.ptx;

import java.util.List;

/** One instruction as written. */
record Statement(SourceLocation location, Register guard, boolean negated, String opcode, List<String> suffixes,
        List<Operand> operands) {
    int line() {
        return location.ptxLine();
    }

    /** Opcode and suffixes joined, as in the text. */
    String mnemonic() {
        return suffixes.isEmpty() ? opcode : opcode + "." + String.join(".", suffixes);
    }

    boolean has(String suffix) {
        return suffixes.contains(suffix);
    }

    PtxSyntaxException refusal(String why) {
        return new PtxSyntaxException(line(), mnemonic() + ": " + why);
    }
}
