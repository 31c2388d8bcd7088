package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/** The bill of materials has no parent, so nothing but this test keeps it in step with the modules. */
class BomTest {
    private static final Path ROOT = Path.of(System.getProperty("isobit.home"));

    /** Modules that are not for users. */
    private static final Set<String> NOT_PUBLISHED = Set.of("isobit-bom", "isobit-bench");

    @Test
    void namesEveryPublishedModule() throws Exception {
        Set<String> expected = new TreeSet<>();
        for (Element module : elements(read(ROOT), "modules", "module")) {
            String artifact = text(read(ROOT.resolve(module.getTextContent())), "artifactId");
            if (!NOT_PUBLISHED.contains(artifact)) {
                expected.add(artifact);
            }
        }
        Set<String> named = new TreeSet<>();
        Element bom = read(ROOT.resolve("java-src/bom"));
        for (Element dependency : elements(bom, "dependencyManagement", "dependencies", "dependency")) {
            assertEquals("dev.isobit", text(dependency, "groupId"));
            assertEquals("${project.version}", text(dependency, "version"));
            named.add(text(dependency, "artifactId"));
        }
        assertEquals(expected, named);
    }

    @Test
    void hasTheVersionOfTheModules() throws Exception {
        assertEquals(text(read(ROOT), "version"), text(read(ROOT.resolve("java-src/bom")), "version"));
    }

    private static Element read(Path module) throws Exception {
        return DocumentBuilderFactory.newDefaultInstance().newDocumentBuilder()
                .parse(module.resolve("pom.xml").toFile())
                .getDocumentElement();
    }

    private static List<Element> elements(Element from, String... path) {
        List<Element> found = List.of(from);
        for (String name : path) {
            List<Element> next = new ArrayList<>();
            for (Element parent : found) {
                for (var node = parent.getFirstChild(); node != null; node = node.getNextSibling()) {
                    if (node instanceof Element child && child.getTagName().equals(name)) {
                        next.add(child);
                    }
                }
            }
            found = next;
        }
        return found;
    }

    private static String text(Element from, String name) {
        return elements(from, name).getFirst().getTextContent();
    }
}
