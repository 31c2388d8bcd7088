package dev.isobit.safetensors;

import java.util.Locale;

/** What a file says, fit for a message: on one line, and not longer than it. */
final class Shown {
    private static final int MOST = 120;

    private Shown() {}

    static String text(String said) {
        var shown = new StringBuilder("\"");
        said.codePoints().limit(MOST).forEach(c -> {
            if (Character.isISOControl(c) || !Character.isDefined(c) || Character.getType(c) == Character.SURROGATE
                    || Character.getType(c) == Character.FORMAT) {
                shown.append(String.format(Locale.ROOT, "\\u%04x", c));
            } else {
                shown.appendCodePoint(c);
            }
        });
        return shown.append(said.length() > MOST ? "...\"" : "\"").toString();
    }
}
