package dev.isobit.ptx;

import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Gives every register, literal, special register and variable address of a program its place in the register files of
 * a warp, so that an instruction reads all its operands the same way. Slot 0 of each file is scratch.
 */
final class Slots {
    /** A variable's address plus a constant. */
    record Address(Variable variable, long addend) {}

    private record Placed<T>(T what, boolean wide) {}

    int words = 1;
    int longs = 1;
    int predicates = 1;
    private Function current;
    final Map<Integer, Integer> wordLiterals = new LinkedHashMap<>();
    final Map<Long, Integer> longLiterals = new LinkedHashMap<>();
    private final Map<Placed<String>, Integer> specials = new LinkedHashMap<>();
    private final Map<Placed<Address>, Integer> addresses = new LinkedHashMap<>();
    private final Map<Function, int[]> bases = new HashMap<>();

    /** Makes room for the registers of all functions of a program. */
    Slots(Collection<Function> functions) {
        for (Function function : functions) {
            bases.put(function, new int[] {words, longs, predicates});
            RegisterAllocation allocation = function.allocation();
            words += allocation.words;
            longs += allocation.longs;
            predicates += allocation.predicates;
        }
        registerWords = words;
        registerLongs = longs;
    }

    /** Reads a function's registers from now on. */
    void enter(Function function) {
        current = function;
    }

    /** Offset of a register of any of the functions, in the file of its own width. */
    int of(Function function, Register register) {
        int[] base = bases.get(function);
        int place = function.allocation().places[register.number()];
        return Lanes.COUNT * (place + (register.type().isWide() ? base[1] : base[0]));
    }

    int at(Statement statement, Operand operand, Type type) {
        return switch (operand) {
            case Operand.Reg reg -> {
                Type own = reg.register().type();
                if (own == Type.PRED || own.bits != type.bits || !own.agreesWith(type)) {
                    throw statement.refusal("register " + reg.register() + " is " + own + ", not " + type);
                }
                yield register(reg.register());
            }
            case Operand.Sink sink -> 0;
            case Operand.Whole whole -> {
                if (type.isFloat() && type.bits > 16) {
                    throw statement.refusal("a whole number where " + type + " is needed");
                }
                yield type.isWide()
                        ? longLiteral(whole.value())
                        : wordLiteral((int) (type.bits == 16 ? whole.value() & 0xffff : whole.value()));
            }
            case Operand.Real real -> {
                if (type.bits == 64) {
                    yield longLiteral(real.single() ? Double.doubleToRawLongBits(real.value()) : real.bits());
                }
                if (type.bits != 32) {
                    throw statement.refusal("a floating-point literal where " + type + " is needed");
                }
                yield wordLiteral(real.single()
                        ? (int) real.bits()
                        : Float.floatToRawIntBits((float) real.value()));
            }
            case Operand.Special special -> special(statement, special.name(), type.isWide());
            case Operand.Symbol symbol -> address(symbol, type.isWide());
            default -> throw statement.refusal("an operand of this kind is not supported here");
        };
    }

    /** Where an operand lies whose register may be wider than the instruction's type. */
    record Place(int offset, boolean wide, int bits) {}

    Place loose(Statement statement, Operand operand, Type type) {
        if (operand instanceof Operand.Reg reg && reg.register().type() != Type.PRED) {
            Type own = reg.register().type();
            if (own.bits < type.bits) {
                throw statement.refusal("register " + reg.register() + " is " + own + ", too small for " + type);
            }
            return new Place(register(reg.register()), own.isWide(), own.bits);
        }
        return new Place(at(statement, operand, type), type.isWide(), type.bits);
    }

    /** Offset of a register, in the file of its own width. */
    int register(Register register) {
        return of(current, register);
    }

    int predicate(Statement statement, Operand operand) {
        if (operand instanceof Operand.Reg reg && reg.register().type() == Type.PRED) {
            return predicate(reg.register());
        }
        if (operand instanceof Operand.Sink) {
            return 0;
        }
        throw statement.refusal("a predicate register is needed");
    }

    int predicate(Register register) {
        return bases.get(current)[2] + current.allocation().places[register.number()];
    }

    int wordLiteral(int value) {
        return Lanes.COUNT * wordLiterals.computeIfAbsent(value, v -> words++);
    }

    int longLiteral(long value) {
        return Lanes.COUNT * longLiterals.computeIfAbsent(value, v -> longs++);
    }

    private int special(Statement statement, String name, boolean wide) {
        if (!SpecialRegisters.isKnown(name)) {
            throw statement.refusal("special register %" + name + " is not supported");
        }
        return Lanes.COUNT * specials.computeIfAbsent(new Placed<>(name, wide), p -> wide ? longs++ : words++);
    }

    int address(Operand.Symbol symbol, boolean wide) {
        return Lanes.COUNT * addresses.computeIfAbsent(
                new Placed<>(new Address(symbol.variable(), symbol.addend()), wide), p -> wide ? longs++ : words++);
    }

    /** Something that fills a slot when a warp starts. */
    record Filling<T>(T what, boolean wide, int offset) {}

    /** How many slots hold registers; they come first. */
    final int registerWords;
    final int registerLongs;
    List<Filling<String>> specialFillings = List.of();
    /** Those that differ from block to block, the same for all its threads. */
    List<Filling<String>> blockFillings = List.of();
    List<Filling<Address>> addressFillings = List.of();

    /** Ends the allocation. */
    void close() {
        specialFillings = fillings(specials);
        blockFillings = specialFillings.stream().filter(f -> SpecialRegisters.isOfBlock(f.what())).toList();
        addressFillings = fillings(addresses);
    }

    private static <T> List<Filling<T>> fillings(Map<Placed<T>, Integer> map) {
        return map.entrySet().stream()
                .map(e -> new Filling<>(e.getKey().what(), e.getKey().wide(), Lanes.COUNT * e.getValue())).toList();
    }
}
