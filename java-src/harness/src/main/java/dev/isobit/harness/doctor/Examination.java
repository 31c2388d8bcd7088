package dev.isobit.harness.doctor;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.IsobitException;
import dev.isobit.cuda.CudaDevice;
import dev.isobit.cuda.CudaFinding;
import dev.isobit.cuda.CudaProvider;
import dev.isobit.cuda.LaunchMethod;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.ChildJvm.IsobitChildException;
import dev.isobit.harness.Machine;
import dev.isobit.harness.OwnJvm;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.doctor.DoctorReport.Device;
import dev.isobit.harness.doctor.DoctorReport.Finding;
import dev.isobit.harness.doctor.DoctorReport.Gpu;
import dev.isobit.harness.doctor.DoctorReport.State;
import dev.isobit.math.Fma;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.management.JMException;
import javax.management.ObjectName;
import javax.management.openmbean.CompositeData;
import org.jspecify.annotations.Nullable;

/** Looks at the machine. Nothing stays open; never throws for what is missing. */
final class Examination {
    private static final String VECTOR_MODULE = "jdk.incubator.vector";
    private static final String ADD_VECTOR_MODULE = "start java with --add-modules " + VECTOR_MODULE;
    private static final String INSTALL_DRIVER = "install NVIDIA's driver, R520 or newer (Debian: nvidia-driver and "
            + "libcuda1; Ubuntu: nvidia-driver-580); in a container, start it with the NVIDIA container toolkit and "
            + "--gpus all";
    private static final int FULL_OPTIMIZATION = 4;
    private static final int OLDEST_JAVA = 25;

    private final List<Finding> findings = new ArrayList<>();

    private Examination() {}

    static DoctorReport run() {
        var examination = new Examination();
        Machine machine = Machine.here();
        examination.java(machine);
        examination.add("processor", State.OK, machine.cpu() + ", " + machine.processors() + " processors, "
                + BackendOptions.defaults().threads() + " threads by default, " + machine.os());
        examination.vectors();
        examination.fma();
        examination.compiler();
        examination.forced();
        List<BackendProbe> probes = OwnJvm.probes().stream().map(Examination::tried).toList();
        CudaFinding cuda = new CudaProvider().find();
        for (BackendProbe probe : probes) {
            examination.backend(probe, cuda);
        }
        examination.devices(cuda);
        boolean usable = probes.stream().anyMatch(p -> p.name().equals("cuda") && p.available());
        return new DoctorReport(DoctorReport.FORMAT, usable, machine, System.getProperty("java.home"),
                List.copyOf(examination.findings), probes, gpu(cuda));
    }

    /** A probe cannot foresee all, such as a device without memory left: what counts is that a backend opens. */
    private static BackendProbe tried(BackendProbe probe) {
        if (!probe.available()) {
            return probe;
        }
        try {
            if (OwnJvm.isFor(probe.name())) {
                openInChild(probe.name());
            } else {
                Backend.open(probe.name()).close();
            }
            return probe;
        } catch (IsobitException | IsobitChildException e) {
            return new BackendProbe(probe.name(), false, probe.detail() + "; but it could not be opened: "
                    + String.valueOf(e.getMessage()).lines().reduce((first, last) -> last).orElse(""));
        }
    }

    private static void openInChild(String backend) {
        try (var workspace = new Workspace()) {
            new ChildJvm(workspace, List.of(), OpenInChild.class, List.of(backend)).run(done -> {});
        }
    }

    private void add(String topic, State state, String found, String... remedies) {
        findings.add(new Finding(topic, state, found, List.of(remedies)));
    }

    private void java(Machine machine) {
        // Older JVMs cannot load this class; the check is for what is newer than it was tried on.
        String found = machine.java() + " in " + System.getProperty("java.home");
        add("Java", Runtime.version().feature() >= OLDEST_JAVA ? State.OK : State.MISSING, found);
    }

    private void vectors() {
        if (ModuleLayer.boot().findModule(VECTOR_MODULE).isEmpty()) {
            add("vectors", State.SLOW, "the module " + VECTOR_MODULE + " is not there, the CPU path is scalar code",
                    ADD_VECTOR_MODULE);
            return;
        }
        int lanes = VectorWidth.lanes();
        String limit = vmOption("MaxVectorSize");
        String avx = vmOption("UseAVX");
        add("vectors", lanes >= 4 ? State.OK : State.SLOW, lanes * Float.SIZE + " bits, " + lanes + " float lanes"
                + (limit == null ? "" : ", MaxVectorSize=" + limit) + (avx == null ? "" : ", UseAVX=" + avx));
    }

    private void fma() {
        if (Fma.HARDWARE) {
            add("FMA", State.OK, "in hardware");
            return;
        }
        boolean cpuHasIt = cpuFlags().anyMatch(flag -> flag.equals("fma"));
        String avx = vmOption("UseAVX");
        add("FMA", State.SLOW, "emulated in float64: the same bits, many times slower",
                !cpuHasIt
                        ? "the processor has none, as far as the system tells"
                        : "the processor has it: start java without -XX:-UseFMA"
                                + ("0".equals(avx) || "1".equals(avx) ? " and -XX:UseAVX=" + avx : ""));
    }

    private static Stream<String> cpuFlags() {
        try {
            return Files.readAllLines(Path.of("/proc/cpuinfo")).stream().filter(line -> line.startsWith("flags"))
                    .limit(1).flatMap(line -> Stream.of(line.split("\\s+")));
        } catch (IOException | RuntimeException e) {
            return Stream.empty();
        }
    }

    private void compiler() {
        String tier = vmOption("TieredStopAtLevel");
        String info = System.getProperty("java.vm.info", "");
        if (info.startsWith("interpreted mode")) {
            add("C2", State.SLOW, "the JVM only interprets, the CPU path is scalar code", "start java without -Xint");
        } else if (tier != null && Integer.parseInt(tier) < FULL_OPTIMIZATION) {
            add("C2", State.SLOW, "off, the CPU path is scalar code", "start java without -XX:TieredStopAtLevel="
                    + tier + "");
        } else {
            add("C2", State.OK, tier == null ? "not known to be off (" + info + ")" : "on (" + info + ")");
        }
    }

    /** What system properties ask for. */
    private void forced() {
        for (String property : List.of("isobit.backend", "isobit.cpu.path", "isobit.threads",
                CudaProvider.LIBRARY_PROPERTY, CudaProvider.COOPERATIVE_PROPERTY, LaunchMethod.PROPERTY)) {
            String value = System.getProperty(property);
            if (value != null) {
                add("property", State.SLOW, property + "=" + value + " is set", "start java without -D" + property
                        + " to have it chosen");
            }
        }
    }

    private void backend(BackendProbe probe, CudaFinding cuda) {
        if (probe.available()) {
            add("backend " + probe.name(), State.OK, probe.detail());
        } else if (probe.name().equals("cuda") && !cuda.available()) {
            // The finding has each obstacle by itself, where the probe has one line.
            List<String> remedies = new ArrayList<>(cuda.problems());
            if (cuda.library() == null && System.getProperty("os.name").equals("Linux")) {
                remedies.add(nvidiaGpu()
                        ? INSTALL_DRIVER
                        : "no NVIDIA GPU is on the PCI bus; where there is one: "
                                + INSTALL_DRIVER);
            }
            findings.add(new Finding("backend cuda", State.MISSING, "not usable here", remedies));
        } else {
            add("backend " + probe.name(), State.MISSING, "not usable here", probe.detail());
        }
    }

    /** Whether the PCI bus has a display or compute device of NVIDIA. */
    private static boolean nvidiaGpu() {
        try (Stream<Path> devices = Files.list(Path.of("/sys/bus/pci/devices"))) {
            return devices.anyMatch(device -> reads(device.resolve("vendor"), "0x10de")
                    && reads(device.resolve("class"), "0x03"));
        } catch (IOException | RuntimeException e) {
            return false;
        }
    }

    private static boolean reads(Path file, String start) {
        try {
            return Files.readString(file).startsWith(start);
        } catch (IOException e) {
            return false;
        }
    }

    private void devices(CudaFinding cuda) {
        if (cuda.library() != null) {
            add("CUDA driver", State.OK, "CUDA " + cuda.driverVersionText() + ", " + cuda.library());
        }
        for (CudaDevice device : cuda.devices()) {
            add("GPU", device.problem() == null ? State.OK : State.MISSING, device.toString());
        }
        for (String warning : cuda.warnings()) {
            add("native access", State.SLOW, "the JVM will print a warning, and one day refuse", warning);
        }
    }

    private static Gpu gpu(CudaFinding cuda) {
        return new Gpu(cuda.library(), cuda.library() == null ? null : cuda.driverVersionText(),
                cuda.devices().stream()
                        .map(device -> new Device(device.ordinal(), device.name(),
                                device.major() + "." + device.minor(), device.multiprocessors(),
                                device.memoryBytes(), device.ptx(), device.problem()))
                        .toList(),
                cuda.problems(), cuda.warnings());
    }

    /** The value of an option of HotSpot; null where the JVM does not tell. */
    private static @Nullable String vmOption(String name) {
        try {
            var option = (CompositeData) ManagementFactory.getPlatformMBeanServer().invoke(
                    new ObjectName("com.sun.management:type=HotSpotDiagnostic"), "getVMOption", new Object[] {name},
                    new String[] {String.class.getName()});
            return (String) option.get("value");
        } catch (JMException | RuntimeException e) {
            return null;
        }
    }
}
