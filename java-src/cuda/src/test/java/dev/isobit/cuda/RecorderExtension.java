package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/** Builds the recording driver, makes it this JVM's driver, and checks after each test that nothing is left in it. */
final class RecorderExtension implements ExecutionCondition, BeforeEachCallback, AfterEachCallback, ParameterResolver {
    private static Recorder recorder;
    private static Path library;

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return hasGcc()
                ? ConditionEvaluationResult.enabled("gcc is there")
                : ConditionEvaluationResult
                        .disabled("skipped: the recording driver needs gcc, which is not on the PATH");
    }

    static boolean hasGcc() {
        return Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, "gcc")));
    }

    /** The recording driver's file, built now if it is not. */
    static synchronized Path library() {
        if (library == null) {
            Path script = Path.of(System.getProperty("isobit.home"), "native-build", "build-recorder");
            try {
                Process build = new ProcessBuilder(script.toString(), Path.of("target", "recorder").toString())
                        .redirectErrorStream(true).start();
                String output = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                if (build.waitFor() != 0) {
                    throw new IllegalStateException(script + ": " + output);
                }
                library = Path.of(output.strip());
            } catch (IOException e) {
                throw new IllegalStateException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new IllegalStateException(e);
            }
        }
        return library;
    }

    static synchronized Recorder recorder() {
        if (recorder == null) {
            recorder = new Recorder(library());
            System.setProperty(CudaProvider.LIBRARY_PROPERTY, library().toString());
        }
        return recorder;
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        recorder().reset();
    }

    @Override
    public void afterEach(ExtensionContext context) {
        Recorder recorder = recorder();
        if (context.getExecutionException().isEmpty()) {
            assertAll("left in the driver",
                    () -> assertEquals(List.of(), recorder.violations(), "violations"),
                    () -> assertEquals(List.of(), recorder.unsupported(), "functions that the recorder does not have"),
                    () -> assertAll(Recorder.KINDS.stream()
                            .map(kind -> () -> assertEquals(0, recorder.live(kind), kind + " alive"))));
        }
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == Recorder.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return recorder();
    }
}
