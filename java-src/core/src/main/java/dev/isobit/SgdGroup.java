package dev.isobit;

import java.util.List;
import java.util.Objects;

/**
 * Parameters of an {@link Sgd} with options of their own. All groups of an optimizer are updated in the same launch.
 *
 * @param options options
 * @param parameters the parameters
 */
public record SgdGroup(SgdOptions options, List<SgdParameter> parameters) {
    /** Checks for null, and copies the list. */
    public SgdGroup {
        Objects.requireNonNull(options, "options");
        parameters = List.copyOf(parameters);
    }
}
