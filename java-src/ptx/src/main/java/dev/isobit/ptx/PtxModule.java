package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * A PTX text, parsed and decoded. Everything that it uses is known to be executable once {@link #parse} returns.
 * Immutable and thread-safe.
 */
public final class PtxModule {
    private final String version;
    private final String target;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Map<String, Program> programs = new HashMap<>();
    final Map<String, Variable> variables;
    /** Offsets of constants and kernel parameters in their state spaces. */
    final Map<Variable, Long> offsets = new HashMap<>();
    final byte[] constants;

    private final String[] lines;
    /** What {@link #line} has given before. */
    private final AtomicReferenceArray<String> shown;

    private PtxModule(Parser parser, String text) {
        lines = text.split("\n", -1);
        shown = new AtomicReferenceArray<>(lines.length);
        version = parser.version;
        target = parser.target;
        variables = parser.variables;
        long constantBytes = 0;
        for (Variable variable : variables.values()) {
            if (variable.space == Space.CONST) {
                constantBytes = place(variable, constantBytes);
            }
        }
        constants = new byte[Math.toIntExact(constantBytes)];
        for (Function function : parser.functions.values()) {
            if (!function.defined) {
                continue;
            }
            if (function.entry) {
                List<Entry.Parameter> parameters = new ArrayList<>();
                long end = 0;
                for (Variable parameter : function.parameters) {
                    end = place(parameter, end);
                    parameters.add(new Entry.Parameter(parameter.name, offsets.get(parameter).intValue(),
                            (int) parameter.size, parameter.align));
                }
                Decoder decoder = new Decoder(function, parser.functions, offsets);
                Entry entry = new Entry(this, function, parameters, decoder.sharedBytes());
                entries.put(function.name, entry);
                programs.put(function.name, decoder.program(entry));
            } else {
                new Decoder(function, parser.functions, offsets); // not run by itself, but nothing unknown may hide in it
            }
        }
    }

    /**
     * Reads a PTX text.
     *
     * @param text the whole text
     * @return the module
     * @throws PtxSyntaxException when the text is malformed or uses what this interpreter does not execute
     */
    public static PtxModule parse(String text) {
        Parser parser = new Parser(text);
        parser.parse();
        return new PtxModule(parser, text);
    }

    private long place(Variable variable, long end) {
        long offset = align(end, variable.align);
        offsets.put(variable, offset);
        return offset + variable.size;
    }

    static long align(long offset, int alignment) {
        return (offset + alignment - 1) / alignment * alignment;
    }

    /** {@return the ISA version that the text states, such as {@code 7.8}} */
    public String version() {
        return version;
    }

    /** {@return the target that the text states, such as {@code sm_90}} */
    public String target() {
        return target;
    }

    /** {@return all kernels, in order of appearance} */
    public List<Entry> entries() {
        return List.copyOf(entries.values());
    }

    /**
     * A kernel by name.
     *
     * @param name its name in the PTX
     * @return the kernel
     * @throws IllegalArgumentException when there is none of this name
     */
    public Entry entry(String name) {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new IllegalArgumentException("no entry " + name + "; there are " + entries.keySet());
        }
        return entry;
    }

    /** A line of the text, with single blanks and without the semicolon at its end. */
    String line(int number) {
        String line = shown.get(number - 1);
        if (line == null) {
            line = lines[number - 1].strip().replaceAll("\\s+", " ");
            line = line.endsWith(";") ? line.substring(0, line.length() - 1) : line;
            shown.set(number - 1, line);
        }
        return line;
    }

    Program program(String name) {
        return programs.get(name);
    }
}
