package dev.isobit.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/** Pages that hold all that they show: style and script inside, nothing loaded from anywhere. */
public final class Html {
    private Html() {}

    /**
     * A whole page.
     *
     * @param title the page's title
     * @param body HTML of the body
     * @return the document
     */
    public static String page(String title, String body) {
        return page(title, body, "", "");
    }

    /**
     * A whole page with style and scripts of its own beside those of all pages.
     *
     * @param title the page's title
     * @param body HTML of the body
     * @param style further CSS
     * @param script further JavaScript, without an end tag of a script in it
     * @return the document
     */
    public static String page(String title, String body, String style, String script) {
        return """
                <!DOCTYPE html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <title>%s</title>
                <style>
                %s%s</style>
                </head>
                <body>
                <main>
                %s</main>
                <script>
                %s%s</script>
                </body>
                </html>
                """.formatted(escape(title), resource(Html.class, "page.css"), style, body,
                resource(Html.class, "page.js"),
                script);
    }

    /**
     * Text for an element or a quoted attribute.
     *
     * @param text any text
     * @return the text with its special characters replaced
     */
    public static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
    }

    /**
     * A text file that lies beside a class.
     *
     * @param owner the class
     * @param name the file's name
     * @return its text
     */
    public static String resource(Class<?> owner, String name) {
        try (var in = Objects.requireNonNull(owner.getResourceAsStream(name), name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + name, e);
        }
    }
}
