package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** Run in a child JVM: prints what a probe finds; with "open" it opens the device and looks into the temp folder. */
final class ProbeMain {
    private ProbeMain() {}

    public static void main(String[] arguments) throws IOException {
        CudaProvider provider = new CudaProvider();
        CudaFinding finding = provider.find();
        finding.problems().forEach(problem -> System.out.println("problem: " + problem));
        finding.warnings().forEach(warning -> System.out.println("warning: " + warning));
        System.out.println("available: " + provider.probe().available());
        if (arguments.length > 0 && arguments[0].equals("open")) {
            try (Backend backend = provider.open(BackendOptions.defaults())) {
                System.out.println("opened: " + backend.name());
                printTemp();
            }
            System.out.println("temp property: " + System.getProperty("java.io.tmpdir"));
            if (arguments.length > 1) {
                Runtime.getRuntime().halt(0); // no shutdown hook runs, as after a kill
            }
        }
    }

    private static void printTemp() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            files.map(Path::getFileName).filter(name -> !name.toString().startsWith("hsperfdata"))
                    .forEach(name -> System.out.println("in temp: " + name));
        }
    }
}
