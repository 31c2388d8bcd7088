package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.List;

/** An entry or device function as written. */
final class Function {
    final String name;
    final boolean entry;
    final int line;
    final List<Variable> returns = new ArrayList<>();
    final List<Variable> parameters = new ArrayList<>();
    /** Registers that stand for parameters declared with {@code .reg}, in order; null entries are memory parameters. */
    final List<Register> returnRegisters = new ArrayList<>();
    final List<Register> parameterRegisters = new ArrayList<>();
    final List<Variable> variables = new ArrayList<>();
    final List<Statement> body = new ArrayList<>();
    final List<Register> registers = new ArrayList<>();
    int[] maxThreads;
    int[] requiredThreads;
    int[] requiredCluster;
    boolean explicitCluster;
    boolean defined;
    private RegisterAllocation allocation;

    Function(String name, boolean entry, int line) {
        this.name = name;
        this.entry = entry;
        this.line = line;
    }

    /** Where its registers lie; made when first asked for, once the body is complete. */
    RegisterAllocation allocation() {
        if (allocation == null) {
            allocation = new RegisterAllocation(this);
        }
        return allocation;
    }
}
