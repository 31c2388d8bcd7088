package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaMember;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Kotlin and Scala call the library by the names that it has in Java: none may need backticks there. */
class ApiNamesTest {
    /** Hard keywords of Kotlin 2 (typeof is reserved), and the regular ones of Scala 2 and 3. */
    private static final Set<String> KEYWORDS = Set.of("abstract", "as", "break", "case", "catch", "class", "continue",
            "def", "do", "else", "enum", "export", "extends", "false", "final", "finally", "for", "forSome", "fun",
            "given", "if", "implicit", "import", "in", "interface", "is", "lazy", "macro", "match", "new", "null",
            "object", "override", "package", "private", "protected", "return", "sealed", "super", "then", "this",
            "throw", "trait", "true", "try", "type", "typealias", "typeof", "val", "var", "when", "while", "with",
            "yield");

    @ParameterizedTest
    @ValueSource(strings = {"dev.isobit", "dev.isobit.math", "dev.isobit.spi", "dev.isobit.cuda", "dev.isobit.ptx",
        "dev.isobit.safetensors", "dev.isobit.junit"})
    void noPublicNameIsAKeyword(String packageName) {
        List<JavaClass> types = new ClassFileImporter().withImportOption(new ImportOption.DoNotIncludeTests())
                .importPackages(packageName).stream()
                .filter(type -> type.getPackageName().equals(packageName)
                        && type.getModifiers().contains(JavaModifier.PUBLIC))
                .toList();
        List<String> names = new ArrayList<>(List.of(packageName.split("\\.")));
        for (JavaClass type : types) {
            names.add(type.getSimpleName());
            for (JavaMember member : type.getMembers()) {
                Set<JavaModifier> modifiers = member.getModifiers();
                if (modifiers.contains(JavaModifier.PUBLIC) || modifiers.contains(JavaModifier.PROTECTED)) {
                    names.add(member.getName());
                }
            }
        }
        assertTrue(types.size() >= 2 && names.size() > 15, packageName + " has " + names);
        names.removeIf(name -> !KEYWORDS.contains(name));
        assertEquals(Set.of(), new TreeSet<>(names));
    }
}
