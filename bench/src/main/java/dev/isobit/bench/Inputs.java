package dev.isobit.bench;

import java.util.List;
import java.util.Locale;

/** Kinds of inputs. Timings are of the first; errors are measured on all that an operation has. */
enum Inputs {
    /** Normal logits of deviation 2; gradients and parameters from -0.5 to 0.5. */
    ORDINARY,
    /** Rows whose target is certain: its logit is 20 above the others. */
    CONFIDENT_ROWS,
    /** All logits of a row are some thousands. */
    LARGE_OFFSET,
    /** Logits of 20 or -20, for targets that they meet. */
    SATURATED,
    /** Gradients of 1e-12. */
    TINY_GRADIENTS;

    static List<Inputs> of(String operation) {
        return switch (operation) {
            case "cross-entropy" -> List.of(ORDINARY, CONFIDENT_ROWS, LARGE_OFFSET);
            case "bce" -> List.of(ORDINARY, SATURATED);
            default -> List.of(ORDINARY, TINY_GRADIENTS);
        };
    }

    /** In words. */
    String text() {
        return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
}
