package dev.isobit.harness.trajectories;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class TrajectoriesTest {
    private static List<Trajectory> on(String name) {
        try (Backend backend = Backend.open(name)) {
            return Trajectory.all(backend);
        }
    }

    /** SGD in closed form: each coordinate shrinks by its own factor. */
    @Test
    void sgdIsWhatAnyoneCanWorkOut() {
        Trajectory sgd = on("cpu").get(0);
        assertEquals(Trajectory.STEPS + 1, sgd.points().size());
        for (int i = 0; i <= Trajectory.STEPS; i++) {
            assertEquals(-4 * Math.pow(1 - 0.08, i), sgd.points().get(i).x(), 1e-5);
            assertEquals(1.5 * Math.pow(1 - 0.08 * 24, i), sgd.points().get(i).y(), 1e-5);
        }
    }

    @Test
    void allGoDownAsInFloat64() {
        List<Trajectory> cpu = on("cpu");
        List<Trajectory> reference = on("reference");
        assertEquals(List.of("SGD", "Momentum", "Adam", "AdamW"), cpu.stream().map(Trajectory::name).toList());
        for (int k = 0; k < 4; k++) {
            assertTrue(cpu.get(k).points().getLast().height() < 0.02 * Trajectory.START.height(), cpu.get(k).name());
            for (int i = 0; i <= Trajectory.STEPS; i++) {
                assertEquals(reference.get(k).points().get(i).x(), cpu.get(k).points().get(i).x(), 1e-4);
                assertEquals(reference.get(k).points().get(i).y(), cpu.get(k).points().get(i).y(), 1e-4);
            }
        }
    }

    /** Well-formed, every point drawn once, nothing loaded from elsewhere. */
    @Test
    void theFileIsAPictureOfItsOwn(@TempDir Path folder) throws Exception {
        Path file = folder.resolve("new/picture.svg");
        assertEquals(0, new CommandLine(new TrajectoriesCommand()).execute("--backend", "cpu", "--out",
                file.toString()));
        String text = Files.readString(file);
        var root = DocumentBuilderFactory.newInstance().newDocumentBuilder()
                .parse(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8))).getDocumentElement();
        var ways = root.getElementsByTagName("polyline");
        assertEquals(4, ways.getLength());
        for (int i = 0; i < 4; i++) {
            String points = ways.item(i).getAttributes().getNamedItem("points").getNodeValue();
            assertEquals(Trajectory.STEPS + 1, points.split(" ").length);
        }
        assertEquals(4 * (Trajectory.STEPS + 1) + 1, root.getElementsByTagName("circle").getLength());
        assertTrue(text.contains("prefers-color-scheme: dark"));
        assertFalse(text.replace("http://www.w3.org/2000/svg", "").contains("http"));
    }
}
