package dev.isobit.harness;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Where something was measured.
 *
 * @param os name, version and architecture of the operating system
 * @param cpu the processor's name, as far as the system tells
 * @param processors how many the JVM may use
 * @param java version and vendor of the JVM
 * @param isobit version of Isobit
 */
public record Machine(String os, String cpu, int processors, String java, String isobit) {
    /**
     * This machine.
     *
     * @return what is found out without starting anything
     */
    public static Machine here() {
        return new Machine(
                System.getProperty("os.name") + " " + System.getProperty("os.version") + " "
                        + System.getProperty("os.arch"),
                cpuName(), Runtime.getRuntime().availableProcessors(),
                Runtime.version() + " (" + System.getProperty("java.vendor") + ", " + System.getProperty("java.vm.name")
                        + ")",
                Version.current());
    }

    private static String cpuName() {
        try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
            return lines.filter(line -> line.startsWith("model name")).findFirst()
                    .map(line -> line.substring(line.indexOf(':') + 1).trim()).orElse(System.getProperty("os.arch"));
        } catch (IOException | RuntimeException e) {
            return System.getProperty("os.arch");
        }
    }
}
