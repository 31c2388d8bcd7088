package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendUnavailableException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the probe finds with a driver, what it says of old drivers and devices, and how JCuda is loaded. */
@RecorderTest
class RecorderProbeTest {
    private static final long GIB = 1L << 30;

    @Test
    void aDeviceIsDescribed() {
        CudaFinding finding = new CudaProvider().find();
        assertTrue(finding.available(), finding.summary());
        assertEquals(List.of(), finding.warnings());
        assertEquals(12060, finding.driverVersion());
        assertEquals("12.6", finding.driverVersionText());
        assertEquals(RecorderExtension.library().toString(), finding.library());
        assertEquals(List.of(new CudaDevice(0, "Recorder 0", 8, 0, 108, 163 << 10, GIB, "sm_75", null)),
                finding.devices());
        assertEquals("driver of CUDA 12.6; device 0: Recorder 0, sm_80, 108 multiprocessors, 1024 MiB, PTX sm_75",
                finding.summary());
    }

    @Test
    void hopperAndLaterTakeTheirOwnPtx(Recorder recorder) {
        recorder.setDeviceCount(2);
        recorder.setDevice(0, 90, 132, GIB);
        recorder.setDevice(1, 120, 170, GIB);
        CudaFinding finding = new CudaProvider().find();
        assertEquals(List.of("sm_90", "sm_90"), finding.devices().stream().map(CudaDevice::ptx).toList());
    }

    @Test
    void anOldDriverIsRefused(Recorder recorder) {
        recorder.setDriverVersion(11070);
        CudaFinding finding = new CudaProvider().find();
        assertEquals(
                List.of("the driver is too old: it supports CUDA 11.7, CUDA 11.8 (driver R520) or newer is needed"),
                finding.problems());
        recorder.setDriverVersion(11080);
        assertTrue(new CudaProvider().find().available());
    }

    @Test
    void noDeviceIsSaid(Recorder recorder) {
        recorder.setDeviceCount(0);
        CudaFinding finding = new CudaProvider().find();
        assertEquals(
                List.of("the CUDA driver finds no device (is one there, and is CUDA_VISIBLE_DEVICES right?)"),
                finding.problems());
        assertThrows(BackendUnavailableException.class, () -> Backend.open("cuda"));
    }

    @Test
    void aDriverThatDoesNotStartIsSaid(Recorder recorder) {
        recorder.fail("cuInit", 0, Recorder.UNKNOWN);
        assertEquals(List.of("the CUDA driver does not start: cuInit: CUDA_ERROR_UNKNOWN (CUDA error 999)"),
                new CudaProvider().find().problems());
    }

    @Test
    void everyFailureOfAProbeIsAFinding(Recorder recorder) {
        for (String function : List.of("cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName",
                "cuDeviceGetAttribute", "cuDeviceTotalMem_v2")) {
            recorder.fail(function, 1, Recorder.UNKNOWN);
            CudaFinding finding = new CudaProvider().find();
            assertFalse(finding.available(), function);
            assertEquals(1, finding.problems().size(), finding.summary());
            assertTrue(finding.summary().contains(function.replace("_v2", "")), finding.summary());
            recorder.clearFaults();
        }
    }

    @Test
    void anOldDeviceIsRefusedAndOthersAreNot(Recorder recorder) {
        recorder.setDeviceCount(2);
        recorder.setDevice(0, 70, 80, GIB);
        CudaFinding finding = new CudaProvider().find();
        assertTrue(finding.available());
        assertEquals("compute capability 7.0 is older than 7.5 (Turing)", finding.devices().getFirst().problem());
        assertNull(finding.devices().getFirst().ptx());
        var e = assertThrows(BackendUnavailableException.class, () -> Backend.open("cuda"));
        assertTrue(e.getMessage().contains("older than 7.5"), e.getMessage());
        Backend.open("cuda", BackendOptions.defaults().withDeviceOrdinal(1)).close();

        recorder.setDeviceCount(1);
        finding = new CudaProvider().find();
        assertEquals("no device can be used", finding.problems().getFirst());
        assertFalse(finding.available());
    }

    @Test
    void aDeviceThatIsNotThereIsRefused() {
        var e = assertThrows(BackendUnavailableException.class,
                () -> Backend.open("cuda", BackendOptions.defaults().withDeviceOrdinal(3)));
        assertEquals("backend cuda has no device 3; there is device 0", e.getMessage());
    }

    @Test
    void aSecondDriverIsRefused(@TempDir Path folder) throws IOException {
        Path other = Files.copy(RecorderExtension.library(), folder.resolve("libcuda.so.1"));
        CudaFinding finding = new CudaProvider("cuda", other).find();
        assertEquals("no CUDA driver: this process has loaded " + RecorderExtension.library()
                + " as its libcuda.so.1 and cannot load " + other
                + " as well (backends cuda and sim exclude each other in a JVM)", finding.problems().getLast());
    }

    /** A symbol that is missing would end the JVM at its first call. */
    @Test
    void theRecorderHasEverySymbolThatJcudaLinksTo(@TempDir Path folder) throws IOException {
        Path file = folder.resolve(JCudaNatives.LIBRARY);
        try (var in = JCudaNatives.class.getResourceAsStream(JCudaNatives.RESOURCE)) {
            Files.copy(in, file);
        }
        assertNull(CudaLibrary.missing(file.toString()));
    }

    // ---- in child JVMs

    private static Child child() {
        return new Child().flag("-D" + CudaProvider.LIBRARY_PROPERTY + "=" + RecorderExtension.library())
                .flag("--add-modules=jdk.incubator.vector");
    }

    private static Child childWithAccess() {
        return child().flag("--enable-native-access=ALL-UNNAMED");
    }

    @Test
    void jcudaMissingIsSaid() throws IOException, InterruptedException {
        var result = childWithAccess().without("jcuda-12").run(ProbeMain.class);
        assertTrue(result.output().contains("problem: JCuda is not on the class path: add org.jcuda:jcuda:12.6.0"),
                result.output());
        assertTrue(result.output().contains("available: false"), result.output());
        assertEquals(0, result.exit(), result.output());
    }

    @Test
    void jcudasNativesMissingAreSaid() throws IOException, InterruptedException {
        var result = childWithAccess().without("jcuda-natives").run(ProbeMain.class);
        assertTrue(result.output().contains("problem: JCuda's native library is not on the class path: add"
                + " org.jcuda:jcuda-natives:12.6.0 with the classifier linux-x86_64"), result.output());
        assertEquals(0, result.exit(), result.output());
    }

    @Test
    void nativeAccessMissingIsAWarning() throws IOException, InterruptedException {
        var result = child().run(ProbeMain.class);
        assertTrue(result.output().contains("warning: native access is not enabled: start java with"
                + " --enable-native-access=ALL-UNNAMED"), result.output());
        assertTrue(result.output().contains("available: true"), result.output());
    }

    @Test
    void nativeAccessDeniedIsAProblem() throws IOException, InterruptedException {
        var result = child().flag("--illegal-native-access=deny").run(ProbeMain.class);
        assertTrue(result.output().contains("problem: native access is denied: start java with"
                + " --enable-native-access=ALL-UNNAMED"), result.output());
        assertTrue(result.output().contains("available: false"), result.output());
        assertEquals(0, result.exit(), result.output());
    }

    @Test
    void nothingIsLeftInTheTempFolder(@TempDir Path temp) throws IOException, InterruptedException {
        var result = childWithAccess().flag("-Djava.io.tmpdir=" + temp).run(ProbeMain.class, "open", "halt");
        assertEquals(0, result.exit(), result.output());
        assertTrue(result.output().contains("opened: cuda"), result.output());
        assertFalse(result.output().contains("in temp: "), result.output());
        assertTrue(result.output().contains("temp property: " + temp + "\n"), result.output());
        assertEquals(List.of(), names(temp));
    }

    /** JCuda itself would load what lies in the temp folder under the name that it uses. */
    @Test
    void aLibraryPlantedInTheTempFolderIsNotTouched(@TempDir Path temp) throws IOException, InterruptedException {
        Files.writeString(temp.resolve(JCudaNatives.LIBRARY), "planted");
        var result = childWithAccess().flag("-Djava.io.tmpdir=" + temp).run(ProbeMain.class, "open");
        assertEquals(0, result.exit(), result.output());
        assertTrue(result.output().contains("opened: cuda"), result.output());
        assertEquals(List.of(JCudaNatives.LIBRARY), names(temp));
    }

    private static List<String> names(Path folder) throws IOException {
        try (var files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).filter(name -> !name.startsWith("hsperfdata"))
                    .toList();
        }
    }
}
