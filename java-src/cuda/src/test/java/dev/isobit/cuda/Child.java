package dev.isobit.cuda;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** A child JVM for what can be seen only once in a process, or only with other flags. */
final class Child {
    private final List<String> flags = new ArrayList<>();
    private Predicate<String> classPath = entry -> true;

    /**
     * What a child did.
     *
     * @param output standard output and errors
     */
    record Result(int exit, String output) {}

    Child flag(String flag) {
        flags.add(flag);
        return this;
    }

    /** Leaves a jar off the class path. */
    Child without(String jar) {
        Predicate<String> before = classPath;
        classPath = entry -> before.test(entry) && !Path.of(entry).getFileName().toString().startsWith(jar);
        return this;
    }

    /** Runs the main class of this test module with arguments. */
    Result run(Class<?> main, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(flags);
        command.add("-cp");
        command.add(Arrays.stream(
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))
                        .split(File.pathSeparator))
                .filter(classPath).collect(Collectors.joining(File.pathSeparator)));
        command.add(main.getName());
        command.addAll(Arrays.asList(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Result(process.waitFor(), output);
    }
}
