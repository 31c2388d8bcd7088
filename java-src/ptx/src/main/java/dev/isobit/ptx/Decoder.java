package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Turns a function, and those that it calls, into one decoded program. */
final class Decoder {
    private final Map<String, Function> functions;
    private final Map<Variable, Long> offsets;
    private final Slots slots;
    private final List<Instruction> code = new ArrayList<>();
    private final Map<Function, Integer> starts = new LinkedHashMap<>();
    private long sharedBytes;
    private long localBytes;

    Decoder(Function root, Map<String, Function> functions, Map<Variable, Long> moduleOffsets) {
        this.functions = functions;
        this.offsets = new HashMap<>(moduleOffsets);
        Set<Function> reachable = new LinkedHashSet<>();
        collect(root, reachable, new ArrayList<>());
        slots = new Slots(reachable);
        reachable.forEach(this::decodeOne);
        for (Instruction instruction : code) {
            if (instruction instanceof Call call) {
                call.start = starts.get(call.callee);
            }
        }
        slots.close();
        placeVariables();
    }

    /** Finds what is called. Registers belong to a function, not to a call: so there can be no recursion. */
    private void collect(Function function, Set<Function> found, List<Function> above) {
        if (above.contains(function)) {
            throw new PtxSyntaxException(function.line, "recursive calls of " + function.name + " are not supported");
        }
        found.add(function);
        above.add(function);
        for (Statement statement : function.body) {
            if (statement.opcode().equals("call") && statement.operands().get(1) instanceof Operand.FunctionName name) {
                Function callee = functions.get(name.name());
                if (callee != null && callee.defined) {
                    collect(callee, found, above);
                }
            }
        }
        above.removeLast();
    }

    int sharedBytes() {
        return Math.toIntExact(sharedBytes);
    }

    Program program(Entry entry) {
        return new Program(entry, code.toArray(Instruction[]::new), slots, offsets, sharedBytes(),
                Math.toIntExact(PtxModule.align(localBytes, 16)));
    }

    private void placeVariables() {
        for (Function function : starts.keySet()) {
            function.variables.forEach(this::place);
            if (!function.entry) {
                function.parameters.forEach(this::place);
                function.returns.forEach(this::place);
            }
        }
        for (Slots.Filling<Slots.Address> filling : slots.addressFillings) {
            Variable variable = filling.what().variable();
            if (!variable.unsized) {
                place(variable);
            }
        }
        long dynamicAlign = 16;
        for (Slots.Filling<Slots.Address> filling : slots.addressFillings) {
            Variable variable = filling.what().variable();
            if (variable.unsized && variable.space == Space.SHARED) {
                dynamicAlign = Math.max(dynamicAlign, variable.align);
            }
        }
        sharedBytes = PtxModule.align(sharedBytes, (int) dynamicAlign);
        for (Slots.Filling<Slots.Address> filling : slots.addressFillings) {
            Variable variable = filling.what().variable();
            if (variable.unsized && variable.space == Space.SHARED) {
                offsets.put(variable, sharedBytes);
            }
        }
    }

    private void place(Variable variable) {
        if (variable == null || offsets.containsKey(variable)) {
            return;
        }
        if (variable.space == Space.SHARED) {
            sharedBytes = PtxModule.align(sharedBytes, variable.align);
            offsets.put(variable, sharedBytes);
            sharedBytes += variable.size;
        } else if (variable.space == Space.LOCAL) {
            localBytes = PtxModule.align(localBytes, variable.align);
            offsets.put(variable, localBytes);
            localBytes += variable.size;
        }
    }

    private void decodeOne(Function function) {
        int start = code.size();
        starts.put(function, start);
        slots.enter(function);
        for (Statement statement : function.body) {
            Instruction instruction = instruction(function, statement);
            instruction.location = statement.location();
            instruction.next = code.size() + 1;
            if (statement.guard() != null) {
                instruction.guard = slots.predicate(statement.guard());
                instruction.flip = statement.negated() ? -1 : 0;
            }
            code.add(instruction);
        }
        // Whatever runs past the last statement ends there.
        Instruction last = function.entry ? new ControlDecoder.Exit() : new ControlDecoder.Return();
        last.location = new SourceLocation(function.line, null, 0, 0, null);
        last.next = code.size() + 1;
        code.add(last);
        connect(function, start);
    }

    private Instruction instruction(Function function, Statement statement) {
        Form form = new Form(statement, slots);
        Instruction decoded = statement.opcode().equals("call") ? call(form) : null;
        Type type = lastType(statement);
        boolean real = type != null && (type.isFloat() || type == Type.F16X2 || type == Type.BF16X2);
        decoded = decoded != null ? decoded : real ? FloatDecoder.decode(form) : IntegerDecoder.decode(form);
        decoded = decoded != null ? decoded : LogicDecoder.decode(form);
        decoded = decoded != null ? decoded : ComparisonDecoder.decode(form);
        decoded = decoded != null ? decoded : ConversionDecoder.decode(form);
        decoded = decoded != null ? decoded : MemoryDecoder.decode(form);
        decoded = decoded != null ? decoded : WarpDecoder.decode(form);
        decoded = decoded != null ? decoded : ControlDecoder.decode(form, function.entry);
        if (decoded == null) {
            throw statement.refusal("unknown instruction");
        }
        return decoded;
    }

    private static Type lastType(Statement statement) {
        return statement.suffixes().isEmpty() ? null : Type.of(statement.suffixes().getLast());
    }

    private Instruction call(Form form) {
        form.skip("uni");
        form.endOfSuffixes();
        List<Operand> returns = ((Operand.Tuple) form.operand(0)).elements();
        String name = ((Operand.FunctionName) form.operand(1)).name();
        List<Operand> arguments = ((Operand.Tuple) form.operand(2)).elements();
        Instruction builtin = SystemCall.of(form, name, returns, arguments);
        if (builtin != null) {
            return builtin;
        }
        Function callee = functions.get(name);
        if (callee == null || !callee.defined) {
            throw form.refusal("function " + name + " is not defined");
        }
        if (callee.parameters.size() != arguments.size() || callee.returns.size() != returns.size()) {
            throw form.refusal("wrong number of arguments or results");
        }
        List<Call.Transfer> in = new ArrayList<>();
        List<Call.Transfer> out = new ArrayList<>();
        for (int i = 0; i < arguments.size(); i++) {
            in.add(transfer(form, arguments.get(i), callee, callee.parameters.get(i),
                    callee.parameterRegisters.get(i)));
        }
        for (int i = 0; i < returns.size(); i++) {
            out.add(transfer(form, returns.get(i), callee, callee.returns.get(i),
                    callee.returnRegisters.get(i)));
        }
        return new Call(callee, in, out);
    }

    private Call.Transfer transfer(Form form, Operand actual, Function callee, Variable formal,
            Register formalRegister) {
        Variable variable = actual instanceof Operand.Symbol symbol ? symbol.variable() : null;
        int register = -1;
        if (variable == null) {
            Type type = formalRegister != null ? formalRegister.type() : formal.type;
            register = form.slots.at(form.statement, actual, type);
        }
        return new Call.Transfer(variable, register, formal,
                formalRegister == null ? -1 : slots.of(callee, formalRegister),
                formalRegister == null ? 0 : formalRegister.type().bytes);
    }

    /** Resolves labels, and finds where divided ways meet. */
    private void connect(Function function, int start) {
        int n = code.size() - start;
        int[][] successors = new int[n][];
        for (int i = 0; i < n; i++) {
            boolean last = i == n - 1;
            successors[i] = last ? new int[] {n} : function.body.get(i).successors(i);
            switch (code.get(start + i)) {
                case ControlDecoder.Branch branch -> branch.target = start + branch.label.index;
                case ControlDecoder.TableBranch table -> table.targets =
                        table.labels.stream().mapToInt(label -> start + label.index).toArray();
                default -> {
                }
            }
        }
        int[] meeting = new FlowGraph(waysToMeet(start, successors)).meetingPoints();
        for (int i = 0; i < n; i++) {
            int join = meeting[i] == n || endsAtOnce(code.get(start + meeting[i]))
                    ? Fragment.NOWHERE
                    : start + meeting[i];
            switch (code.get(start + i)) {
                case ControlDecoder.Branch branch -> branch.join = join;
                case ControlDecoder.TableBranch table -> table.join = join;
                default -> {
                }
            }
        }
    }

    /**
     * The ways on which threads may meet others again. Threads that end are not waited for, unless ending is the only
     * way out, as it is of a loop at the end of a kernel.
     */
    private int[][] waysToMeet(int start, int[][] successors) {
        int n = successors.length;
        int[][] going = new int[n][];
        for (int i = 0; i < n; i++) {
            going[i] = Arrays.stream(successors[i]).filter(s -> s == n || !endsAtOnce(code.get(start + s))).toArray();
            if (successors[i].length == 0) {
                successors[i] = new int[] {n};
            }
            if (going[i].length == 0) {
                going[i] = successors[i];
            }
        }
        boolean[] ending = new FlowGraph(going).reachingEnd();
        for (int i = 0; i < n; i++) {
            going[i] = ending[i] ? going[i] : successors[i];
        }
        return going;
    }

    /** Ways that meet only to end need not wait for each other. */
    private static boolean endsAtOnce(Instruction instruction) {
        return instruction.guard < 0
                && (instruction instanceof ControlDecoder.Exit || instruction instanceof ControlDecoder.Return);
    }
}
