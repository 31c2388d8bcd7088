package dev.isobit.ptx;

/**
 * Where an instruction comes from.
 *
 * @param ptxLine line in the PTX text, counted from 1
 * @param file source file of the nearest {@code .loc} directive, or null where there is none
 * @param line line in that file, 0 where unknown
 * @param column column in that line
 * @param inlinedAt the call that this code was inlined into, or null
 */
public record SourceLocation(int ptxLine, String file, int line, int column, SourceLocation inlinedAt) {
    SourceLocation atPtxLine(int other) {
        return new SourceLocation(other, file, line, column, inlinedAt);
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        if (file != null) {
            text.append(file).append(':').append(line);
            for (SourceLocation at = inlinedAt; at != null; at = at.inlinedAt) {
                text.append(" (inlined at ").append(at.file).append(':').append(at.line).append(')');
            }
            text.append(", ");
        }
        return text.append("PTX line ").append(ptxLine).toString();
    }
}
