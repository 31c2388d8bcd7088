package dev.isobit.ptx;

import java.util.List;

/** Branches, calls, the end of threads, and barriers. */
final class ControlDecoder {
    private ControlDecoder() {}

    static Instruction decode(Form form, boolean inEntry) {
        return switch (form.statement.opcode()) {
            case "bra" -> branch(form);
            case "brx" -> tableBranch(form);
            case "exit" -> {
                form.end(0);
                yield new Exit();
            }
            case "ret" -> {
                form.skip("uni");
                form.end(0);
                yield inEntry ? new Exit() : new Return();
            }
            case "trap" -> {
                form.end(0);
                yield new WarpOperation((warp, mask) -> {
                    throw warp.fault(DeviceFault.Kind.TRAP, Warp.firstLane(mask), 0, "trap");
                });
            }
            case "brkpt" -> {
                form.end(0);
                yield new WarpOperation((warp, mask) -> {});
            }
            case "griddepcontrol" -> { // launches run one after the other
                form.one("launch_dependents", "wait");
                form.end(0);
                yield new WarpOperation((warp, mask) -> {});
            }
            case "pmevent" -> new WarpOperation((warp, mask) -> {});
            case "nanosleep" -> {
                Type type = form.type();
                form.end(1);
                form.at(0, type);
                yield new Sleep();
            }
            case "bar", "barrier" -> barrier(form);
            default -> null;
        };
    }

    /** A branch; {@link #join} is set once the function's flow is known. */
    static final class Branch extends Instruction {
        final Operand.Label label;
        int target;
        int join;

        Branch(Operand.Label label) {
            this.label = label;
        }

        @Override
        int execute(Warp warp, int mask) {
            return mask == warp.current.mask ? target : warp.diverge(mask, target, next, join);
        }
    }

    /** A branch through a table of labels. */
    static final class TableBranch extends Instruction {
        final List<Operand.Label> labels;
        final int index;
        int[] targets;
        int join;

        TableBranch(List<Operand.Label> labels, int index) {
            this.labels = labels;
            this.index = index;
        }

        /** Splits off the threads that share the first thread's target; the others execute this branch again. */
        @Override
        int execute(Warp warp, int mask) {
            if (mask != warp.current.mask) {
                // Threads whose guard is false go on; the others come back to the table.
                return warp.diverge(mask, warp.current.pc, next, join);
            }
            int first = warp.words[index + Warp.firstLane(mask)];
            if (Integer.compareUnsigned(first, targets.length) >= 0) {
                throw warp.fault(DeviceFault.Kind.UNDEFINED, Warp.firstLane(mask), 0, "branch index "
                        + Integer.toUnsignedString(first) + " beyond its table of " + targets.length);
            }
            int same = 0;
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                same |= warp.words[index + lane] == first ? 1 << lane : 0;
            }
            return same == mask ? targets[first] : warp.diverge(same, targets[first], warp.current.pc, join);
        }
    }

    /** Lets other warps run. */
    private static final class Sleep extends Instruction {
        @Override
        int execute(Warp warp, int mask) {
            warp.current.pc = next;
            warp.yield();
            return LEAVE;
        }
    }

    /** Ends threads. */
    static final class Exit extends Instruction {
        @Override
        int execute(Warp warp, int mask) {
            return warp.exit(mask);
        }
    }

    /** Ends a device function. */
    static final class Return extends Instruction {
        @Override
        int execute(Warp warp, int mask) {
            return warp.returnFrom(mask);
        }
    }

    private static Instruction branch(Form form) {
        form.skip("uni");
        form.end(1);
        if (!(form.operand(0) instanceof Operand.Target target)) {
            throw form.refusal("a label is needed");
        }
        return new Branch(target.label());
    }

    private static Instruction tableBranch(Form form) {
        if (!form.skip("idx")) {
            throw form.refusal("only brx.idx is supported");
        }
        form.skip("uni");
        form.end(2);
        if (!(form.operand(1) instanceof Operand.Target target) || target.label().table == null) {
            throw form.refusal("a .branchtargets label is needed");
        }
        return new TableBranch(target.label().table, form.at(0, Type.U32));
    }

    private static Instruction barrier(Form form) {
        if (form.skip("warp")) {
            return WarpDecoder.barrier(form);
        }
        if (form.skip("cluster")) {
            return clusterBarrier(form);
        }
        form.skip("cta");
        String kind = form.one("sync", "arrive", "red");
        String reduction = kind.equals("red") ? form.one("popc", "and", "or") : null;
        form.skip("aligned");
        if (reduction != null) {
            Type type = form.type();
            if (type != (reduction.equals("popc") ? Type.U32 : Type.PRED)) {
                throw form.unsupported(type);
            }
        }
        form.endOfSuffixes();
        int first = reduction == null ? 0 : 1;
        int operands = form.operands().size() - first - (reduction == null ? 0 : 1);
        if (operands < 1 || operands > 2 || kind.equals("arrive") && operands != 2) {
            throw form.refusal("wrong number of operands");
        }
        int d = reduction == null ? 0 : reduction.equals("popc") ? form.at(0, Type.U32) : form.predicate(0);
        PredicateSource vote = reduction == null ? null : PredicateSource.of(form, form.operands().size() - 1);
        return new BarrierInstruction(form.at(first, Type.U32), operands == 2 ? form.at(first + 1, Type.U32) : -1,
                !kind.equals("arrive"), vote, reduction, d);
    }

    private static Instruction clusterBarrier(Form form) {
        boolean wait = form.one("arrive", "wait").equals("wait");
        boolean relaxed = "relaxed".equals(form.skipAny("release", "relaxed", "acquire"));
        form.skip("aligned");
        form.end(0);
        if (!wait) {
            return new WarpOperation((warp, mask) -> warp.block.cluster.arrive(warp, mask, relaxed));
        }
        return new ClusterWait();
    }

    private static final class ClusterWait extends Instruction {
        @Override
        int execute(Warp warp, int mask) {
            if (warp.block.cluster.isPast(warp, mask)) {
                warp.block.cluster.learn(warp, mask);
                return next;
            }
            warp.await(Fragment.Wait.CLUSTER, mask);
            return LEAVE;
        }
    }
}
