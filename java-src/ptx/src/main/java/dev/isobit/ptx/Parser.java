package dev.isobit.ptx;

import dev.isobit.ptx.Lexer.Kind;
import dev.isobit.ptx.Lexer.Token;
import dev.isobit.ptx.Operand.Label;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads PTX text into functions, variables and statements, with every name resolved. */
final class Parser {
    /** What a pair of braces declares. */
    private static final class Scope {
        final Map<String, Object> names = new HashMap<>();
        final Map<String, Label> labels = new HashMap<>();
        final Map<String, Label> wanted = new LinkedHashMap<>();
    }

    private final List<Token> tokens;
    private int at;
    private final Map<Integer, String> files = new HashMap<>();
    final Map<String, Function> functions = new LinkedHashMap<>();
    final Map<String, Variable> variables = new LinkedHashMap<>();
    String version = "";
    String target = "";
    private final Deque<Scope> scopes = new ArrayDeque<>();
    private Function function;
    private SourceLocation location;
    /** The last location of each file, line and column: calls are named by them. */
    private final Map<List<Long>, SourceLocation> locations = new HashMap<>();

    Parser(String text) {
        tokens = Lexer.tokens(text);
        for (int i = 0; i + 2 < tokens.size(); i++) { // nvcc lists the files at the end
            if (tokens.get(i).is(".file") && tokens.get(i + 1).kind() == Kind.NUMBER) {
                files.put(Integer.valueOf(tokens.get(i + 1).text()), tokens.get(i + 2).text());
            }
        }
    }

    void parse() {
        scopes.push(new Scope());
        while (peek().kind() != Kind.END) {
            declaration();
        }
        if (version.isEmpty() || target.isEmpty()) {
            throw new PtxSyntaxException(1, "no .version or no .target");
        }
    }

    private void declaration() {
        Token token = take();
        if (token.kind() != Kind.SUFFIX) {
            throw wrong(token, "a directive");
        }
        switch (token.text()) {
            case ".version" -> version = take().text();
            case ".target" -> {
                target = take().text();
                while (skip(",")) {
                    take();
                }
            }
            case ".address_size" -> {
                Token size = take();
                if (!size.text().equals("64")) {
                    throw new PtxSyntaxException(size.line(), ".address_size " + size.text() + "; only 64 is executed");
                }
            }
            case ".file" -> file();
            case ".section" -> section();
            case ".pragma" -> statementEnd();
            case ".loc" -> loc(token);
            case ".visible", ".weak", ".common" -> {
            }
            case ".extern" -> {
                if (peek().text().equals(".func")) {
                    break; // a prototype
                }
                Token space = take();
                variableList(space, true);
            }
            case ".entry" -> function(true);
            case ".func" -> function(false);
            case ".global", ".const", ".shared" -> variableList(token, false);
            default -> throw new PtxSyntaxException(token.line(), "directive " + token.text() + " is not supported");
        }
    }

    private void file() {
        whole();
        take(Kind.STRING);
        while (skip(",")) {
            take();
        }
    }

    private void section() {
        while (!peek().is("{")) {
            take();
        }
        int depth = 0;
        do {
            Token token = take();
            depth += token.is("{") ? 1 : token.is("}") ? -1 : 0;
        } while (depth > 0);
    }

    private void loc(Token directive) {
        int fileIndex = (int) whole();
        int line = (int) whole();
        int column = (int) whole();
        SourceLocation inlined = null;
        while (peek().is(",") && peek().line() == directive.line()) {
            take();
            Token attribute = take(Kind.NAME);
            if (attribute.text().equals("function_name")) {
                take();
                if (skip("+")) {
                    take();
                }
            } else if (attribute.text().equals("inlined_at")) {
                List<Long> at = List.of(whole(), whole(), whole());
                inlined = locations.get(at);
                if (inlined == null) {
                    throw wrong(attribute, "inlined_at a place that a .loc directive has named before");
                }
            } else {
                throw wrong(attribute, "function_name or inlined_at");
            }
        }
        String file = files.get(fileIndex);
        if (line != 0 || location == null) { // without a line, the last place that has one stays
            location = new SourceLocation(directive.line(), file, line, column, inlined);
        }
        locations.put(List.of((long) fileIndex, (long) line, (long) column), location);
    }

    private void function(boolean entry) {
        int line = peek().line();
        location = new SourceLocation(line, null, 0, 0, null);
        skipAttribute();
        scopes.push(new Scope());
        Function parsed = new Function("", entry, line);
        function = parsed;
        if (!entry && peek().is("(")) {
            parameters(parsed.returns, parsed.returnRegisters, Space.LOCAL);
        }
        Token name = take(Kind.NAME);
        parsed = renamed(parsed, name.text());
        function = parsed;
        if (peek().is("(")) {
            parameters(parsed.parameters, parsed.parameterRegisters, entry ? Space.PARAM : Space.LOCAL);
        }
        performanceDirectives(parsed);
        Function known = functions.get(parsed.name);
        if (skip(";")) {
            functions.putIfAbsent(parsed.name, parsed);
        } else {
            if (known != null && known.defined) {
                throw new PtxSyntaxException(line, "function " + parsed.name + " is defined twice");
            }
            functions.put(parsed.name, parsed);
            parsed.defined = true;
            expect("{");
            body();
        }
        closeScope();
        function = null;
    }

    private static Function renamed(Function nameless, String name) {
        Function named = new Function(name, nameless.entry, nameless.line);
        named.returns.addAll(nameless.returns);
        named.returnRegisters.addAll(nameless.returnRegisters);
        named.registers.addAll(nameless.registers);
        return named;
    }

    private void skipAttribute() {
        while (peek().is(".attribute") || peek().is(".noreturn")) {
            boolean list = take().is(".attribute");
            if (list) {
                int depth = 0;
                do {
                    Token token = take();
                    depth += token.is("(") ? 1 : token.is(")") ? -1 : 0;
                } while (depth > 0);
            }
        }
    }

    private void performanceDirectives(Function parsed) {
        while (peek().kind() == Kind.SUFFIX) {
            Token directive = take();
            switch (directive.text()) {
                case ".maxntid" -> parsed.maxThreads = dimensions();
                case ".reqntid" -> parsed.requiredThreads = dimensions();
                case ".reqnctapercluster" -> parsed.requiredCluster = dimensions();
                case ".explicitcluster" -> parsed.explicitCluster = true;
                case ".minnctapersm", ".maxnctapersm", ".maxnreg", ".maxclusterrank" -> dimensions();
                case ".noreturn", ".blocksareclusters" -> {
                }
                case ".pragma" -> {
                    take(Kind.STRING);
                    skip(";");
                }
                case ".abi_preserve", ".abi_preserve_control" -> whole();
                default -> throw new PtxSyntaxException(directive.line(), directive.text() + " is not supported");
            }
        }
    }

    private int[] dimensions() {
        int[] all = {1, 1, 1};
        int n = 0;
        do {
            all[n++] = (int) whole();
        } while (n < 3 && skip(","));
        return all;
    }

    private void parameters(List<Variable> into, List<Register> registers, Space space) {
        expect("(");
        while (!skip(")")) {
            Token kind = take();
            if (kind.is(".reg")) {
                Type type = type();
                registers.add(declareRegister(take(Kind.NAME).text(), type, kind.line()));
                into.add(null);
            } else if (kind.is(".param")) {
                into.add(variable(space, kind.line(), false));
                registers.add(null);
            } else {
                throw wrong(kind, ".param or .reg");
            }
            skip(",");
        }
    }

    private void body() {
        int depth = 1;
        while (depth > 0) {
            Token token = peek();
            if (token.is("{")) {
                take();
                scopes.push(new Scope());
                depth++;
            } else if (token.is("}")) {
                take();
                if (--depth > 0) {
                    closeScope();
                }
            } else if (token.kind() == Kind.SUFFIX) {
                bodyDirective(take());
            } else if (token.kind() == Kind.NAME && tokens.get(at + 1).is(":")) {
                label();
            } else {
                statement();
            }
        }
    }

    private void bodyDirective(Token directive) {
        switch (directive.text()) {
            case ".reg" -> registers(directive.line());
            case ".local", ".shared", ".param", ".global", ".const" -> variableList(directive, false);
            case ".loc" -> loc(directive);
            case ".file" -> file();
            case ".pragma" -> statementEnd();
            default -> throw new PtxSyntaxException(directive.line(), "directive " + directive.text()
                    + " is not supported in a function");
        }
    }

    private void label() {
        Token name = take();
        expect(":");
        Label label = scopes.peek().labels.computeIfAbsent(name.text(), n -> new Label(n, name.line()));
        if (label.index >= 0) {
            throw new PtxSyntaxException(name.line(), "label " + name.text() + " is defined twice");
        }
        label.index = function.body.size();
        if (peek().is(".branchtargets")) {
            take();
            label.table = new ArrayList<>();
            do {
                label.table.add(wantLabel(take(Kind.NAME)));
            } while (skip(","));
            expect(";");
        } else if (peek().is(".callprototype") || peek().is(".calltargets")) {
            throw new PtxSyntaxException(peek().line(), "indirect calls are not supported");
        }
    }

    /** A label by name: it may stand later, in this scope or in one around it. */
    private Label wantLabel(Token name) {
        for (Scope scope : scopes) {
            Label known = scope.labels.get(name.text());
            if (known != null) {
                return known;
            }
        }
        return scopes.peek().wanted.computeIfAbsent(name.text(), n -> new Label(n, name.line()));
    }

    private void closeScope() {
        Scope closed = scopes.pop();
        closed.wanted.forEach((name, wanted) -> {
            Label here = closed.labels.get(name);
            if (here != null) {
                wanted.index = here.index;
                wanted.table = here.table;
            } else if (scopes.size() > 1) {
                Label outer = scopes.peek().labels.get(name);
                if (outer != null) {
                    wanted.index = outer.index;
                    wanted.table = outer.table;
                } else {
                    Label first = scopes.peek().wanted.putIfAbsent(name, wanted);
                    if (first != null) {
                        aliases.computeIfAbsent(first, f -> new ArrayList<>()).add(wanted);
                    }
                }
            } else {
                throw new PtxSyntaxException(wanted.line, "label " + name + " is not defined");
            }
            copyToAliases(wanted);
        });
    }

    private final Map<Label, List<Label>> aliases = new HashMap<>();

    private void copyToAliases(Label label) {
        if (label.index < 0) {
            return;
        }
        for (Label alias : aliases.getOrDefault(label, List.of())) {
            alias.index = label.index;
            alias.table = label.table;
            copyToAliases(alias);
        }
    }

    private void registers(int line) {
        Type type = type();
        do {
            String name = take(Kind.NAME).text();
            if (skip("<")) {
                long count = whole();
                expect(">");
                for (int i = 0; i < count; i++) {
                    declareRegister(name + i, type, line);
                }
            } else {
                declareRegister(name, type, line);
            }
        } while (skip(","));
        expect(";");
    }

    private Register declareRegister(String name, Type type, int line) {
        if (type.bits == 128) {
            throw new PtxSyntaxException(line, "registers of type " + type + " are not supported");
        }
        Register register = new Register(name, type, function.registers.size());
        function.registers.add(register);
        declare(name, register, line);
        return register;
    }

    private void declare(String name, Object what, int line) {
        if (scopes.peek().names.put(name, what) != null) {
            throw new PtxSyntaxException(line, name + " is declared twice");
        }
    }

    private void variableList(Token directive, boolean external) {
        Space space = switch (directive.text()) {
            case ".global" -> Space.GLOBAL;
            case ".shared" -> Space.SHARED;
            case ".const" -> Space.CONST;
            case ".local", ".param" -> Space.LOCAL;
            default -> throw wrong(directive, "a state space");
        };
        variable(space, directive.line(), external);
        expect(";");
    }

    private Variable variable(Space space, int line, boolean external) {
        int align = 0;
        int lanes = 1;
        Type type = null;
        while (peek().kind() == Kind.SUFFIX) {
            Token suffix = take();
            switch (suffix.text()) {
                case ".align" -> align = (int) whole();
                case ".v2" -> lanes = 2;
                case ".v4" -> lanes = 4;
                case ".attribute" -> {
                    at--;
                    skipAttribute();
                }
                case ".ptr" -> {
                    if (peek().kind() == Kind.SUFFIX && !peek().is(".align")) {
                        take(); // the space that it points to
                    }
                    if (skip(".align")) {
                        whole();
                    }
                }
                default -> {
                    type = Type.of(suffix.text().substring(1));
                    if (type == null) {
                        throw wrong(suffix, "a type");
                    }
                }
            }
        }
        if (type == null) {
            throw wrong(peek(), "a type");
        }
        String name = take(Kind.NAME).text();
        long count = lanes;
        boolean unsized = false;
        boolean array = false;
        while (skip("[")) {
            array = true;
            if (skip("]")) {
                unsized = true;
            } else {
                count *= whole();
                expect("]");
            }
        }
        byte[] initial = null;
        List<Variable.Relocation> relocations = new ArrayList<>();
        if (skip("=")) {
            List<Object> values = new ArrayList<>();
            initialiser(values);
            if (unsized) {
                count = values.size();
                unsized = false;
            }
            if (values.size() > count) {
                throw new PtxSyntaxException(line, name + " has more initial values than elements");
            }
            initial = bytes(values, type, (int) count * type.bytes, relocations);
        }
        long size = unsized ? 0 : count * type.bytes;
        Variable variable = new Variable(name, space, type, align > 0 ? align : type.bytes * lanes, size,
                unsized && array, line);
        variable.initial = initial;
        variable.relocations = relocations;
        if (function == null) {
            Variable known = variables.get(name);
            if (known == null || known.initial == null && !external) {
                variables.put(name, variable);
                scopes.peek().names.put(name, variable);
            }
        } else {
            declare(name, variable, line);
            if (space == Space.GLOBAL || space == Space.CONST) {
                variables.put(function.name + "::" + name, variable);
            } else {
                function.variables.add(variable);
            }
        }
        return variable;
    }

    private void initialiser(List<Object> into) {
        if (skip("{")) {
            while (!skip("}")) {
                initialiser(into);
                skip(",");
            }
        } else {
            into.add(initialValue());
        }
    }

    private record Pointer(Variable variable, long addend, boolean generic) {}

    private Object initialValue() {
        Token token = peek();
        if (token.kind() != Kind.NAME) {
            return number();
        }
        take();
        boolean generic = token.text().equals("generic");
        String name = token.text();
        if (generic) {
            expect("(");
            name = take(Kind.NAME).text();
            expect(")");
        }
        Object target = lookup(name);
        if (!(target instanceof Variable variable)) {
            throw wrong(token, "a variable");
        }
        long addend = skip("+") ? whole() : peek().is("-") ? whole() : 0;
        return new Pointer(variable, addend, generic);
    }

    private static byte[] bytes(List<Object> values, Type type, int size, List<Variable.Relocation> relocations) {
        ByteBuffer buffer = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        for (Object value : values) {
            long bits = switch (value) {
                case Operand.Whole whole -> type == Type.F32
                        ? Float.floatToRawIntBits(whole.value())
                        : type == Type.F64 ? Double.doubleToRawLongBits(whole.value()) : whole.value();
                case Operand.Real real -> type == Type.F64
                        ? Double.doubleToRawLongBits(real.value())
                        : Float.floatToRawIntBits(real.single()
                                ? Float.intBitsToFloat((int) real.bits())
                                : (float) real.value());
                case Pointer pointer -> {
                    relocations.add(new Variable.Relocation(buffer.position(), type.bytes, pointer.variable,
                            pointer.addend, pointer.generic));
                    yield 0;
                }
                default -> throw new AssertionError(value);
            };
            switch (type.bytes) {
                case 1 -> buffer.put((byte) bits);
                case 2 -> buffer.putShort((short) bits);
                case 4 -> buffer.putInt((int) bits);
                default -> buffer.putLong(bits);
            }
        }
        return buffer.array();
    }

    private Type type() {
        Token token = take();
        Type type = token.kind() == Kind.SUFFIX ? Type.of(token.text().substring(1)) : null;
        if (type == null) {
            throw wrong(token, "a type");
        }
        return type;
    }

    private void statement() {
        int line = peek().line();
        Register guard = null;
        boolean negated = false;
        if (skip("@")) {
            negated = skip("!");
            Token name = take(Kind.NAME);
            if (!(lookup(name.text()) instanceof Register register) || register.type() != Type.PRED) {
                throw wrong(name, "a predicate register");
            }
            guard = register;
        }
        Token opcode = take(Kind.NAME);
        List<String> suffixes = new ArrayList<>();
        while (peek().kind() == Kind.SUFFIX) {
            suffixes.add(take().text().substring(1));
        }
        List<Operand> operands = new ArrayList<>();
        if (opcode.text().equals("call")) {
            call(operands);
        } else if (!peek().is(";")) {
            boolean branch = opcode.text().equals("bra") || opcode.text().equals("brx");
            do {
                operands.add(branch && isLabelNext() ? new Operand.Target(wantLabel(take())) : operand());
            } while (skip(","));
        }
        expect(";");
        function.body.add(new Statement(location.atPtxLine(line), guard, negated, opcode.text(),
                List.copyOf(suffixes), List.copyOf(operands)));
    }

    private boolean isLabelNext() {
        return peek().kind() == Kind.NAME && !peek().text().startsWith("%");
    }

    private void call(List<Operand> operands) {
        operands.add(peek().is("(") ? tuple() : new Operand.Tuple(List.of()));
        skip(",");
        Token name = take(Kind.NAME);
        operands.add(new Operand.FunctionName(name.text()));
        operands.add(skip(",") && peek().is("(") ? tuple() : new Operand.Tuple(List.of()));
        if (name.text().startsWith("%") || !peek().is(";")) {
            throw new PtxSyntaxException(name.line(), "call: indirect calls are not supported");
        }
    }

    private Operand.Tuple tuple() {
        expect("(");
        List<Operand> all = new ArrayList<>();
        while (!skip(")")) {
            all.add(operand());
            skip(",");
        }
        return new Operand.Tuple(List.copyOf(all));
    }

    private Operand operand() {
        Operand first = simpleOperand();
        if (skip("|")) {
            return new Operand.Pair(first, simpleOperand());
        }
        return first;
    }

    private Operand simpleOperand() {
        Token token = peek();
        if (skip("[")) {
            Operand base = simpleOperand();
            long offset = 0;
            while (peek().is("+") || peek().is("-")) {
                offset += skip("+") ? whole() : whole();
            }
            expect("]");
            return new Operand.Address(base, offset);
        }
        if (skip("{")) {
            List<Operand> elements = new ArrayList<>();
            while (!skip("}")) {
                elements.add(simpleOperand());
                skip(",");
            }
            return new Operand.Vector(List.copyOf(elements));
        }
        if (skip("!")) {
            return new Operand.Not(simpleOperand());
        }
        if (token.kind() == Kind.NUMBER || token.is("-") || token.is("~")) {
            return number();
        }
        take(Kind.NAME);
        String name = token.text();
        if (name.equals("_")) {
            return new Operand.Sink();
        }
        Object known = lookup(name);
        if (known instanceof Register register) {
            if (peek().kind() == Kind.SUFFIX) {
                throw new PtxSyntaxException(token.line(),
                        name + peek().text() + ": vector registers are not supported");
            }
            return new Operand.Reg(register);
        }
        if (known instanceof Variable variable) {
            long addend = 0;
            while (peek().is("+") || peek().is("-")) {
                addend += skip("+") ? whole() : whole();
            }
            return new Operand.Symbol(variable, addend);
        }
        if (name.startsWith("%")) {
            return new Operand.Special(name.substring(1) + (peek().kind() == Kind.SUFFIX ? take().text() : ""));
        }
        if (name.equals("WARP_SZ")) {
            return new Operand.Whole(32);
        }
        throw new PtxSyntaxException(token.line(), name + " is not declared");
    }

    private Object lookup(String name) {
        for (Scope scope : scopes) {
            Object known = scope.names.get(name);
            if (known != null) {
                return known;
            }
        }
        return null;
    }

    private Operand number() {
        if (skip("~")) {
            return new Operand.Whole(~whole());
        }
        boolean negative = skip("-");
        Token token = take(Kind.NUMBER);
        String text = token.text();
        try {
            if (text.length() > 2 && (text.startsWith("0f") || text.startsWith("0F"))) {
                int bits = Integer.parseUnsignedInt(text.substring(2), 16) ^ (negative ? 1 << 31 : 0);
                return new Operand.Real(Float.intBitsToFloat(bits), bits, true);
            }
            if (text.length() > 2 && (text.startsWith("0d") || text.startsWith("0D"))) {
                long bits = Long.parseUnsignedLong(text.substring(2), 16) ^ (negative ? 1L << 63 : 0);
                return new Operand.Real(Double.longBitsToDouble(bits), bits, false);
            }
            if (text.indexOf('.') >= 0) {
                double value = Double.parseDouble(negative ? "-" + text : text);
                return new Operand.Real(value, Double.doubleToRawLongBits(value), false);
            }
            long value = parseWhole(text);
            return new Operand.Whole(negative ? -value : value);
        } catch (NumberFormatException e) {
            throw wrong(token, "a number");
        }
    }

    private static long parseWhole(String written) {
        String text = written.endsWith("U") ? written.substring(0, written.length() - 1) : written;
        if (text.startsWith("0x") || text.startsWith("0X")) {
            return Long.parseUnsignedLong(text.substring(2), 16);
        }
        if (text.startsWith("0b") || text.startsWith("0B")) {
            return Long.parseUnsignedLong(text.substring(2), 2);
        }
        if (text.length() > 1 && text.startsWith("0")) {
            return Long.parseUnsignedLong(text.substring(1), 8);
        }
        return Long.parseUnsignedLong(text);
    }

    private long whole() {
        if (number() instanceof Operand.Whole whole) {
            return whole.value();
        }
        throw wrong(tokens.get(at - 1), "a whole number");
    }

    private Token peek() {
        return tokens.get(at);
    }

    private Token take() {
        Token token = tokens.get(at);
        if (token.kind() == Kind.END) {
            throw new PtxSyntaxException(token.line(), "the text ends too early");
        }
        at++;
        return token;
    }

    private Token take(Kind kind) {
        Token token = take();
        if (token.kind() != kind) {
            throw wrong(token, "a " + kind.name().toLowerCase(java.util.Locale.ROOT));
        }
        return token;
    }

    private boolean skip(String mark) {
        if (peek().is(mark)) {
            at++;
            return true;
        }
        return false;
    }

    private void expect(String mark) {
        Token token = take();
        if (!token.is(mark)) {
            throw wrong(token, "'" + mark + "'");
        }
    }

    private void statementEnd() {
        while (!take().is(";")) {
            // a string
        }
    }

    private static PtxSyntaxException wrong(Token found, String wanted) {
        return new PtxSyntaxException(found.line(), "expected " + wanted + ", found '" + found.text() + "'");
    }
}
