package dev.isobit.ptx;

import dev.isobit.ptx.MemoryInstruction.Address;
import dev.isobit.ptx.MemoryInstruction.Atomic;
import dev.isobit.ptx.MemoryInstruction.Order;
import java.util.List;

/** Loads, stores, atomics, fences and addresses. */
final class MemoryDecoder {
    private static final String[] CACHE = {"ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "L1::evict_normal",
        "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate", "L2::evict_normal",
        "L2::evict_first", "L2::evict_last", "L2::cache_hint", "L2::64B", "L2::128B", "L2::256B"};

    private MemoryDecoder() {}

    static Instruction decode(Form form) {
        return switch (form.statement.opcode()) {
            case "ld", "ldu" -> loadOrStore(form, true);
            case "st" -> loadOrStore(form, false);
            case "atom" -> atomic(form, true);
            case "red" -> atomic(form, false);
            case "fence", "membar" -> fence(form);
            case "prefetch", "prefetchu" -> new WarpOperation((warp, mask) -> {});
            case "createpolicy" -> policy(form);
            case "cp" -> asynchronousCopy(form);
            case "cvta" -> convertAddress(form);
            case "isspacep" -> isInSpace(form);
            case "mapa" -> mapAddress(form);
            case "getctarank" -> rank(form);
            default -> null;
        };
    }

    private static Order order(Form form) {
        Order order = switch (form.skipAny("weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "mmio")) {
            case null -> Order.WEAK;
            case "weak" -> Order.WEAK;
            case "acquire" -> Order.ACQUIRE;
            case "release" -> Order.RELEASE;
            case "acq_rel" -> Order.ACQUIRE_RELEASE;
            default -> Order.RELAXED;
        };
        form.skipAny("cta", "cluster", "gpu", "sys");
        return order;
    }

    /** The state space suffix; null is generic. */
    private static Space space(Form form) {
        return switch (form.skipAny("global", "shared", "shared::cta", "shared::cluster", "local", "const", "param",
                "param::entry", "param::func")) {
            case null -> null;
            case "global" -> Space.GLOBAL;
            case "local" -> Space.LOCAL;
            case "const" -> Space.CONST;
            case "param", "param::entry", "param::func" -> Space.PARAM;
            default -> Space.SHARED;
        };
    }

    /** A memory operand. */
    static Address address(Form form, int index, Space space) {
        if (!(form.operand(index) instanceof Operand.Address address)) {
            throw form.refusal("operand " + (index + 1) + " must be an address in brackets");
        }
        return switch (address.base()) {
            case Operand.Reg reg -> {
                Type type = reg.register().type();
                if (!type.isInteger() || type.bits < 32) {
                    throw form.refusal("register " + reg.register() + " is " + type + ", no address");
                }
                yield new Address(space, type.isWide(), form.slots.register(reg.register()), address.offset());
            }
            case Operand.Symbol symbol -> new Address(symbolSpace(form, symbol, space), true,
                    form.slots.address(symbol, true), address.offset());
            case Operand.Whole whole ->
                new Address(space, true, form.slots.longLiteral(whole.value()), address.offset());
            default -> throw form.refusal("an address needs a register of 32 or 64 bits or a variable");
        };
    }

    private static Space symbolSpace(Form form, Operand.Symbol symbol, Space space) {
        Space own = symbol.variable().space;
        boolean parameter = space == Space.PARAM && own == Space.LOCAL; // of a device function: kept per thread
        if (space != null && space != own && !parameter) {
            throw form.refusal(symbol.variable() + " is in " + own + " memory");
        }
        return own;
    }

    private static Instruction loadOrStore(Form form, boolean load) {
        Order order = order(form);
        Space space = space(form);
        boolean hint = false;
        for (String cache = form.skipAny(CACHE); cache != null; cache = form.skipAny(CACHE)) {
            hint |= cache.equals("L2::cache_hint");
        }
        form.skip("unified");
        String vector = form.skipAny("v2", "v4", "v8");
        int elements = vector == null ? 1 : vector.charAt(1) - '0';
        Type type = form.type();
        if (type == Type.PRED || type.bits > 64 || type.kind == Type.Kind.PACKED) {
            throw form.unsupported(type);
        }
        form.end(hint ? 3 : 2);
        Operand data = form.operand(load ? 0 : 1);
        List<Operand> parts = data instanceof Operand.Vector v ? v.elements() : List.of(data);
        if (parts.size() != elements) {
            throw form.refusal(parts.size() + " registers for " + elements + " elements");
        }
        Slots.Place[] places = new Slots.Place[elements];
        for (int i = 0; i < elements; i++) {
            places[i] = type.bits == 8 && parts.get(i) instanceof Operand.Whole
                    ? form.slots.loose(form.statement, parts.get(i), Type.B32)
                    : form.slots.loose(form.statement, parts.get(i), type);
        }
        Address address = address(form, load ? 1 : 0, space);
        return load
                ? new MemoryInstruction.Load(address, type, places, order)
                : new MemoryInstruction.Store(address, type, places, order);
    }

    private static Instruction atomic(Form form, boolean result) {
        Order given = order(form);
        Order order = given == Order.WEAK ? Order.RELAXED : given;
        Space space = space(form);
        String op = form.one("and", "or", "xor", "exch", "cas", "add", "inc", "dec", "min", "max");
        boolean hint = form.skip("L2::cache_hint");
        if (form.skip("noftz") || form.skipAny("v2", "v4", "v8") != null) {
            throw form.refusal("floating-point atomics depend on the order of threads");
        }
        Type type = form.type();
        if (type.isFloat() && !op.equals("exch")) {
            throw form.refusal("floating-point atomics depend on the order of threads");
        }
        if (!type.isInteger() || type.bits < 16 || type.bits > 64 || type.bits == 16 && !op.equals("cas")) {
            throw form.unsupported(type);
        }
        boolean three = op.equals("cas");
        int first = result ? 1 : 0;
        form.end((three ? 3 : 2) + first + (hint ? 1 : 0));
        return new Atomic(address(form, first, space), type, update(op, type), result ? form.at(0, type) : -1,
                form.at(first + 1, type), three ? form.at(first + 2, type) : 0, order);
    }

    private static Atomic.Update update(String op, Type type) {
        boolean signed = type.isSigned();
        return switch (op) {
            case "and" -> (old, b, c) -> old & b;
            case "or" -> (old, b, c) -> old | b;
            case "xor" -> (old, b, c) -> old ^ b;
            case "exch" -> (old, b, c) -> b;
            case "cas" -> (old, b, c) -> old == b ? c : old;
            case "add" -> (old, b, c) -> old + b;
            case "inc" -> (old, b, c) -> Long.compareUnsigned(old, b) >= 0 ? 0 : old + 1;
            case "dec" -> (old, b, c) -> old == 0 || Long.compareUnsigned(old, b) > 0 ? b : old - 1;
            default -> {
                boolean min = op.equals("min");
                yield (old, b, c) -> {
                    int order = signed
                            ? Long.compare(IntegerDecoder.extend(type, old), IntegerDecoder.extend(type, b))
                            : Long.compareUnsigned(old, b);
                    return order < 0 == min ? old : b;
                };
            }
        };
    }

    private static Instruction fence(Form form) {
        boolean blockOnly;
        boolean inOrder = true;
        if (form.statement.opcode().equals("membar")) {
            blockOnly = form.one("cta", "gl", "sys").equals("cta");
        } else if (form.skip("proxy")) {
            form.one("alias", "async", "async::generic");
            form.skipAny("global", "shared::cta", "shared::cluster");
            form.end(0);
            return new WarpOperation((warp, mask) -> {}); // all accesses go one way here
        } else {
            inOrder = form.skip("sc");
            form.skipAny("acq_rel", "acquire", "release");
            form.skip("mbarrier_init");
            blockOnly = form.one("cta", "cluster", "gpu", "sys").equals("cta");
        }
        form.end(0);
        boolean sc = inOrder;
        return new WarpOperation((warp, mask) -> {
            if (warp.block.grid.sanitizer != null) {
                warp.block.grid.sanitizer.fence(warp, mask, sc, blockOnly);
            }
        });
    }

    private static Instruction asynchronousCopy(Form form) {
        if (!form.skip("async")) {
            throw form.refusal("not supported");
        }
        if (form.skip("commit_group")) {
            form.end(0);
            return new WarpOperation((warp, mask) -> warp.copies().commit(mask));
        }
        if (form.skip("wait_all")) {
            form.end(0);
            return new WarpOperation((warp, mask) -> {
                warp.copies().commit(mask);
                warp.copies().await(warp, mask, 0);
            });
        }
        if (form.skip("wait_group")) {
            form.end(1);
            if (!(form.operand(0) instanceof Operand.Whole groups)) {
                throw form.refusal("the number of groups must be a number");
            }
            return new WarpOperation((warp, mask) -> warp.copies().await(warp, mask, (int) groups.value()));
        }
        form.one("ca", "cg");
        form.one("shared", "shared::cta");
        form.one("global");
        boolean policy = form.skip("L2::cache_hint");
        form.skipAny("L2::64B", "L2::128B", "L2::256B");
        form.endOfSuffixes();
        if (!(form.operand(2) instanceof Operand.Whole size)) {
            throw form.refusal("the size must be a number");
        }
        boolean partial = form.operands().size() - (policy ? 1 : 0) == 4;
        form.end(3 + (partial ? 1 : 0) + (policy ? 1 : 0));
        return new AsyncCopies.Copy(address(form, 0, Space.SHARED), address(form, 1, Space.GLOBAL),
                (int) size.value(), partial ? form.at(3, Type.U32) : form.slots.wordLiteral((int) size.value()));
    }

    /** Cache policies change no result: an opaque 0. */
    private static Instruction policy(Form form) {
        return new LaneOperation(ConversionDecoder.copy(true), true, form.at(0, Type.B64), form.slots.longLiteral(0),
                0, 0);
    }

    private static Instruction convertAddress(Form form) {
        boolean to = form.skip("to");
        Space space = space(form);
        Type type = form.type();
        if (space == null || type != Type.U64) {
            throw form.refusal("needs a state space and .u64");
        }
        form.end(2);
        Space own = form.operand(1) instanceof Operand.Symbol symbol ? symbolSpace(form, symbol, space) : space;
        long window = to ? -own.window() : own.window();
        return form.unary(type, window == 0 ? ConversionDecoder.copy(true) : Lanes.wide((long a) -> a + window));
    }

    private static Instruction isInSpace(Form form) {
        String name = form.one("global", "shared", "shared::cta", "shared::cluster", "local", "const", "param",
                "param::entry");
        form.end(2);
        Space space = switch (name) {
            case "global" -> Space.GLOBAL;
            case "local" -> Space.LOCAL;
            case "const" -> Space.CONST;
            case "param", "param::entry" -> Space.PARAM;
            default -> Space.SHARED;
        };
        boolean own = name.equals("shared") || name.equals("shared::cta");
        int d = form.predicate(0);
        int a = form.at(1, Type.U64);
        return PredicateOperation.of(d, (warp, mask) -> {
            int bits = 0;
            for (int i = 0; i < Lanes.COUNT; i++) {
                long address = warp.longs[a + i];
                boolean inside = Space.ofGeneric(address) == space;
                if (inside && own) {
                    long rank = (address - Space.SHARED.window()) >>> Access.RANK_SHIFT;
                    inside = rank == 0 || rank - 1 == warp.block.rank;
                }
                bits |= inside ? 1 << i : 0;
            }
            return bits;
        });
    }

    /** The same place in another block of the cluster. */
    private static Instruction mapAddress(Form form) {
        boolean generic = !form.skip("shared::cluster");
        Type type = form.type();
        if (type != Type.U32 && type != Type.U64) {
            throw form.unsupported(type);
        }
        form.end(3);
        long window = generic ? Space.SHARED.window() : 0;
        long symbolWindow = form.operand(1) instanceof Operand.Symbol ? 0 : window;
        int d = form.at(0, type);
        int a = form.at(1, type);
        int b = form.at(2, Type.U32);
        boolean wide = type.isWide();
        return new WarpOperation((warp, mask) -> {
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                long offset = warp.get(wide, a + lane) - symbolWindow;
                int rank = warp.words[b + lane];
                if (generic && offset >>> 32 != 0 || Integer.compareUnsigned(rank,
                        warp.block.cluster.blocks.length) >= 0) {
                    throw warp.fault(DeviceFault.Kind.UNDEFINED, lane, offset + symbolWindow, offset >>> 32 != 0
                            ? "mapa of an address that is not in shared memory"
                            : "mapa to rank " + rank + " of " + warp.block.cluster.blocks.length + " blocks");
                }
                long own = offset & (1 << Access.RANK_SHIFT) - 1;
                warp.put(wide, d + lane, window + (rank + 1L << Access.RANK_SHIFT) + own);
            }
        });
    }

    private static Instruction rank(Form form) {
        boolean generic = !form.skip("shared::cluster");
        Type type = form.type();
        form.end(2);
        int d = form.at(0, Type.U32);
        int a = form.at(1, type);
        boolean wide = type.isWide();
        return new WarpOperation((warp, mask) -> {
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                long offset = warp.get(wide, a + lane) - (generic ? Space.SHARED.window() : 0);
                long rank = offset >>> Access.RANK_SHIFT;
                warp.words[d + lane] = rank == 0 ? warp.block.rank : (int) rank - 1;
            }
        });
    }
}
