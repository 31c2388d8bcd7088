package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.List;

/** Cuts PTX text into tokens. */
final class Lexer {
    enum Kind {
        /** A name, possibly starting with {@code %}, {@code $} or {@code _}. */
        NAME,
        /** A dot and a name: a directive, an instruction suffix or a vector component. */
        SUFFIX, NUMBER, STRING, MARK, END
    }

    record Token(Kind kind, String text, int line) {
        boolean is(String mark) {
            return (kind == Kind.MARK || kind == Kind.SUFFIX) && text.equals(mark);
        }
    }

    private final String source;
    private int at;
    private int line = 1;

    private Lexer(String source) {
        this.source = source;
    }

    static List<Token> tokens(String source) {
        Lexer lexer = new Lexer(source);
        List<Token> all = new ArrayList<>();
        Token token;
        do {
            token = lexer.next();
            all.add(token);
        } while (token.kind != Kind.END);
        return all;
    }

    private Token next() {
        skipBlanks();
        if (at >= source.length()) {
            return new Token(Kind.END, "end of text", line);
        }
        int start = at;
        char c = source.charAt(at);
        if (c == '"') {
            return string();
        }
        if (Character.isDigit(c)) {
            return number();
        }
        if (isNameStart(c)) {
            at++;
            skipName();
            return new Token(Kind.NAME, source.substring(start, at), line);
        }
        if (c == '.' && at + 1 < source.length() && isNamePart(source.charAt(at + 1))) {
            at++;
            skipName();
            while (source.startsWith("::", at)) { // .shared::cluster is one suffix
                at += 2;
                skipName();
            }
            return new Token(Kind.SUFFIX, source.substring(start, at), line);
        }
        at++;
        return new Token(Kind.MARK, String.valueOf(c), line);
    }

    private Token string() {
        int end = at + 1;
        while (end < source.length() && source.charAt(end) != '"') {
            end += source.charAt(end) == '\\' ? 2 : 1;
        }
        if (end >= source.length()) {
            throw new PtxSyntaxException(line, "string without an end");
        }
        Token token = new Token(Kind.STRING, source.substring(at + 1, end), line);
        at = end + 1;
        return token;
    }

    private Token number() {
        int start = at;
        while (at < source.length()) {
            char c = source.charAt(at);
            boolean exponentSign = (c == '-' || c == '+') && isDecimalExponent(start);
            if (!exponentSign && c != '.' && !Character.isLetterOrDigit(c)) {
                break;
            }
            at++;
        }
        return new Token(Kind.NUMBER, source.substring(start, at), line);
    }

    private boolean isDecimalExponent(int start) {
        char last = source.charAt(at - 1);
        return (last == 'e' || last == 'E') && source.substring(start, at).indexOf('.') > 0;
    }

    private void skipName() {
        while (at < source.length() && isNamePart(source.charAt(at))) {
            at++;
        }
    }

    private void skipBlanks() {
        while (at < source.length()) {
            char c = source.charAt(at);
            if (c == '\n') {
                line++;
                at++;
            } else if (Character.isWhitespace(c)) {
                at++;
            } else if (source.startsWith("//", at)) {
                int end = source.indexOf('\n', at);
                at = end < 0 ? source.length() : end;
            } else if (source.startsWith("/*", at)) {
                int end = source.indexOf("*/", at + 2);
                if (end < 0) {
                    throw new PtxSyntaxException(line, "comment without an end");
                }
                line += (int) source.substring(at, end).chars().filter(x -> x == '\n').count();
                at = end + 2;
            } else {
                return;
            }
        }
    }

    private static boolean isNameStart(char c) {
        return c == '_' || c == '$' || c == '%' || isLetter(c);
    }

    private static boolean isNamePart(char c) {
        return c == '_' || c == '$' || isLetter(c) || c >= '0' && c <= '9';
    }

    private static boolean isLetter(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z';
    }
}
