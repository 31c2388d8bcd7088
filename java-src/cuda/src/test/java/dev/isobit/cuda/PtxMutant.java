package dev.isobit.cuda;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A kernel with one mistake in it.
 *
 * @param operator what kind of mistake
 * @param file the PTX that it is made in
 * @param entry the kernel
 * @param line its line in the file, from 1
 * @param original that line
 * @param changed what stands there instead
 */
record PtxMutant(String operator, String file, String entry, int line, String original, String changed) {
    /** A line, or null where there is nothing to mistake. The coin makes the choices. */
    private interface Edit extends BiFunction<String, Random, String> {}

    private record Operator(String name, Edit edit) {}

    private static final Pattern ENTRY = Pattern.compile("\\.visible \\.entry (\\w+)\\(");
    private static final String[] TARGETS = {".sm_75.ptx", ".sm_90.ptx"};

    private static final Map<String, String> OFF_BY_ONE = Map.of("lt", "le", "le", "lt", "gt", "ge", "ge", "gt");
    private static final Map<String, String> OTHER_NAN =
            Map.of("lt", "ltu", "ltu", "lt", "le", "leu", "leu", "le", "gt",
                    "gtu", "gtu", "gt", "ge", "geu", "geu", "ge", "eq", "equ", "neu", "ne");
    private static final Map<String, String> NUMBER = Map.of("nan", "num", "num", "nan");

    private static final List<Operator> OPERATORS = List.of(
            replacing("comparison off by one", "setp\\.(lt|le|gt|ge)(?=\\.[su]\\d)", OFF_BY_ONE),
            new Operator("bound off by one", (line, coin) -> {
                Matcher m = Pattern.compile("(setp\\.\\w+\\.[su]\\d+ .*, )(-?\\d+);").matcher(line);
                return m.find()
                        ? m.replaceFirst("$1" + (Long.parseLong(m.group(2)) + (coin.nextBoolean() ? 1 : -1)) + ";")
                        : null;
            }),
            edit("predicate negated", "@(%p\\d+) bra", "@!$1 bra"),
            edit("or for and", "and\\.pred", "or.pred"),
            edit("and for or", "\\bor\\.pred", "and.pred"),
            edit("other choice", "(selp\\.\\w+ \\s*[^,]+, )([^,]+), ([^,]+),", "$1$3, $2,"),
            edit("barrier missing", ".*bar\\.(warp\\.)?sync.*", ""),
            edit("store missing", ".*\\bst\\..*", ""),
            edit("atomic missing", ".*\\batom\\..*", ""),
            edit("operands swapped", "((?:sub|div)\\.(?:rn\\.)?f\\d+ \\s*[^,]+, )([^,]+), ([^,;]+);", "$1$3, $2;"),
            edit("addend swapped", "(fma\\.rn\\.f32 \\s*[^,]+, [^,]+, )([^,]+), ([^,;]+);", "$1$3, $2;"),
            edit("sign missing", "neg\\.f32", "mov.f32"),
            edit("minimum for maximum", "max\\.f32", "min.f32"),
            // the value is cut to 32 bits and extended again
            edit("offset of 32 bits", "((?:mul\\.wide\\.\\w+|(?:add|sub|mul\\.lo)\\.s64|shl\\.b64) \\s*(%rd\\d+),.*)",
                    "$1 shl.b64 $2, $2, 32; shr.s64 $2, $2, 32;"),
            edit("lane wrong", "shfl\\.sync\\.bfly", "shfl.sync.up"),
            edit("lane dropped", "shfl\\.sync\\.bfly\\.b32 \\s*([^,|]+)\\|[^,]+, ([^,]+),.*", "mov.b32 $1, $2;"),
            edit("rounded to zero", "((?:add|sub|mul|fma|div|sqrt|cvt)\\.)rn(\\.f32)", "$1rz$2"),
            new Operator("constant changed", PtxMutant::otherConstant),
            replacing("NaN compared otherwise", "setp\\.(lt|ltu|le|leu|gt|gtu|ge|geu|eq|neu)(?=\\.f\\d)", OTHER_NAN),
            replacing("NaN test reversed", "setp\\.(nan|num)(?=\\.f\\d)", NUMBER));

    private static Operator edit(String name, String pattern, String replacement) {
        Pattern compiled = Pattern.compile(pattern);
        return new Operator(name, (line, coin) -> {
            Matcher m = compiled.matcher(line);
            return m.find() ? m.replaceFirst(replacement) : null;
        });
    }

    private static Operator replacing(String name, String pattern, Map<String, String> words) {
        Pattern compiled = Pattern.compile(pattern);
        return new Operator(name, (line, coin) -> {
            Matcher m = compiled.matcher(line);
            return m.find()
                    ? line.substring(0, m.start(1)) + words.get(m.group(1)) + line.substring(m.end(1))
                    : null;
        });
    }

    /**
     * One bit of a constant. Of an f32 one of the upper 12; of an f64 that is rounded to f32 in the end, the highest of
     * the exponent: what is lower can be lost in that rounding.
     */
    private static String otherConstant(String line, Random coin) {
        Matcher m = Pattern.compile("0([fd])([0-9a-fA-F]{8,16})").matcher(line);
        if (!m.find()) {
            return null;
        }
        boolean wide = m.group(1).equals("d");
        long bits = Long.parseUnsignedLong(m.group(2), 16) ^ (wide ? 1L << 62 : 1L << 20 + coin.nextInt(12));
        return m.replaceFirst(wide ? String.format("0d%016X", bits) : String.format("0f%08X", bits));
    }

    static List<String> operators() {
        return OPERATORS.stream().map(Operator::name).toList();
    }

    /**
     * So many mutants of each kernel of an op, by turns of the operators, at places by chance; no two alike. The draws of
     * a kernel depend on the seed and the kernel alone: another that comes or goes does not change them.
     */
    static List<PtxMutant> choose(int countOfKernel, long seed, String op) {
        List<PtxMutant> all = new ArrayList<>();
        for (String entry : entries(PtxKernels.read(op + TARGETS[0]))) {
            Random coin = new Random(Objects.hash(seed, entry));
            List<Operator> operators = new ArrayList<>(OPERATORS);
            Collections.shuffle(operators, coin);
            Set<PtxMutant> drawn = new LinkedHashSet<>();
            for (int i = 0; drawn.size() < countOfKernel; i++) {
                String file = op + TARGETS[coin.nextInt(TARGETS.length)];
                List<PtxMutant> sites = sites(operators.get(i % operators.size()), file, entry, coin);
                if (!sites.isEmpty()) {
                    drawn.add(sites.get(coin.nextInt(sites.size())));
                }
            }
            all.addAll(drawn);
        }
        return all;
    }

    private static Set<String> entries(String text) {
        Set<String> entries = new LinkedHashSet<>();
        text.lines().map(line -> entryAt(line, null)).filter(Objects::nonNull).forEach(entries::add);
        return entries;
    }

    /** All places of an operator in a kernel. */
    private static List<PtxMutant> sites(Operator operator, String file, String entry, Random coin) {
        List<PtxMutant> found = new ArrayList<>();
        String[] lines = PtxKernels.read(file).split("\n", -1);
        String current = null;
        for (int i = 0; i < lines.length; i++) {
            current = entryAt(lines[i], current);
            String changed =
                    entry.equals(current) && !isNoInstruction(lines[i]) ? operator.edit.apply(lines[i], coin) : null;
            if (changed != null && !changed.equals(lines[i])) {
                found.add(new PtxMutant(operator.name, file, entry, i + 1, lines[i].strip(), changed.strip()));
            }
        }
        return found;
    }

    private static boolean isNoInstruction(String line) {
        String text = line.strip();
        return text.isEmpty() || text.startsWith(".") || text.startsWith("//");
    }

    private static String entryAt(String line, String before) {
        Matcher m = ENTRY.matcher(line);
        return m.find() ? m.group(1) : before;
    }

    /** A file without the other kernels; lines keep their numbers. */
    static String only(String text, String entry) {
        StringBuilder kept = new StringBuilder();
        String current = null;
        for (String line : text.split("\n", -1)) {
            current = entryAt(line, current);
            boolean isKept = current == null || current.equals(entry) || line.startsWith("\t.file");
            kept.append(isKept ? line : "").append('\n');
        }
        return kept.toString();
    }

    /** The kernel as it is shipped. */
    String shipped() {
        return only(PtxKernels.read(file), entry);
    }

    /** The kernel with the mistake. */
    String text() {
        String[] lines = shipped().split("\n", -1);
        lines[line - 1] = changed;
        return String.join("\n", lines);
    }

    @Override
    public String toString() {
        return operator + ": " + entry + ", " + file + ":" + line + ": " + original + " -> "
                + (changed.isEmpty() ? "nothing" : changed);
    }
}
