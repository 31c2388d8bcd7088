package dev.isobit.ptx;

/** A predicate that is read: a register or its negation, or a constant. */
record PredicateSource(int predicate, int flip) {
    static PredicateSource of(Form form, int index) {
        return of(form, form.operand(index));
    }

    static PredicateSource of(Form form, Operand operand) {
        return switch (operand) {
            case Operand.Not not -> {
                PredicateSource inner = of(form, not.operand());
                yield new PredicateSource(inner.predicate, ~inner.flip);
            }
            case Operand.Whole whole -> new PredicateSource(-1, whole.value() != 0 ? -1 : 0);
            default -> new PredicateSource(form.slots.predicate(form.statement, operand), 0);
        };
    }

    int bits(Warp warp) {
        return predicate < 0 ? flip : warp.predicates[predicate] ^ flip;
    }
}
