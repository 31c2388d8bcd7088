package dev.isobit.harness.cases;

import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One case: an operation with its inputs, and what others say comes out.
 *
 * @param id its name
 * @param op the operation
 * @param type of its floating-point tensors, in whose last place errors are told
 * @param rtol relative tolerance of what is to be met
 * @param atol absolute tolerance
 * @param row its line in {@code cases.tsv}, by column
 * @param attrs attributes of the operation
 * @param inputs by name
 * @param expected by name
 */
record Case(String id, String op, CaseType type, double rtol, double atol, Map<String, String> row,
        Map<String, String> attrs, Map<String, CaseTensor> inputs, Map<String, CaseTensor> expected) {
    /** Where the case comes from, not what it asks for. */
    private static final String PROVENANCE = "onnx_opset.";

    CaseTensor input(String name) {
        CaseTensor tensor = inputs.get(name);
        if (tensor == null) {
            throw new IllegalArgumentException("there is no input " + name);
        }
        return tensor;
    }

    @Nullable
    CaseTensor find(String name) {
        return inputs.get(name);
    }

    double number(String attr, double absent) {
        return parse(attr, absent, Double::parseDouble);
    }

    long integer(String attr, long absent) {
        return parse(attr, absent, Long::parseLong);
    }

    boolean flag(String attr) {
        return parse(attr, false, value -> switch (value) {
            case "true" -> true;
            case "false" -> false;
            default -> throw new IllegalArgumentException("neither true nor false");
        });
    }

    <T> T parse(String attr, T absent, Function<String, T> parser) {
        String value = attrs.get(attr);
        try {
            return value == null ? absent : parser.apply(value);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("attribute " + attr + " = " + value + ": " + e.getMessage(), e);
        }
    }

    /** Whether something is said about an output. */
    boolean expects(String output) {
        return Expectation.all(this).stream().anyMatch(expectation -> expectation.output().equals(output));
    }

    /** What the operation's class does not know, the library does not have: attributes, inputs, outputs. */
    void requireOnly(Set<String> knownAttrs, Set<String> knownInputs, Set<String> knownOutputs)
            throws UnsupportedCaseException {
        for (String attr : attrs.keySet()) {
            require(attr.startsWith(PROVENANCE) || knownAttrs.contains(attr), "attribute " + attr);
        }
        for (String input : inputs.keySet()) {
            require(knownInputs.contains(input), "input " + input);
        }
        for (Expectation expectation : Expectation.all(this)) {
            require(knownOutputs.contains(expectation.output()), "output " + expectation.output());
        }
    }

    static void require(boolean supported, String reason) throws UnsupportedCaseException {
        if (!supported) {
            throw new UnsupportedCaseException(reason);
        }
    }
}
