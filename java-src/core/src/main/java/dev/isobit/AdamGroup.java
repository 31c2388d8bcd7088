package dev.isobit;

import java.util.List;
import java.util.Objects;

/**
 * Parameters of an {@link Adam} with options of their own. All groups of an optimizer are updated in the same launch.
 *
 * @param options options; {@code amsgrad} is the same in all groups of an optimizer
 * @param parameters the parameters
 */
public record AdamGroup(AdamOptions options, List<AdamParameter> parameters) {
    /** Checks for null, and copies the list. */
    public AdamGroup {
        Objects.requireNonNull(options, "options");
        parameters = List.copyOf(parameters);
    }
}
