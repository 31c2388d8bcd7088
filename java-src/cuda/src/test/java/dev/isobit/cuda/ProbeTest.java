package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.BackendUnavailableException;
import dev.isobit.IsobitException;
import dev.isobit.spi.BackendProvider;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What the probe says where something is missing; no driver is needed. */
class ProbeTest {
    @Test
    void theServiceLoaderFindsTheProvider() {
        BackendProvider provider = ServiceLoader.load(BackendProvider.class).stream().map(ServiceLoader.Provider::get)
                .filter(found -> found.name().equals("cuda")).findFirst().orElseThrow();
        assertEquals(CudaProvider.class, provider.getClass());
        assertEquals(100, provider.priority());
    }

    @Test
    void probingNeverThrows() {
        BackendProbe probe = assertDoesNotThrow(() -> new CudaProvider().probe());
        assertEquals("cuda", probe.name());
        assertFalse(probe.detail().isEmpty());
        assertTrue(Backend.probes().stream().anyMatch(p -> p.name().equals("cuda")));
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void aLibraryThatIsNotThereIsNamed() {
        CudaFinding finding = new CudaProvider("cuda", Path.of("/nowhere/libcuda.so.1")).find();
        assertFalse(finding.available());
        assertEquals("no CUDA driver: there is no file /nowhere/libcuda.so.1", finding.problems().getLast());
        assertEquals(0, finding.devices().size());
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void theSystemsDriverIsNamedWhereItIsMissing() {
        CudaFinding finding = new CudaProvider().find();
        if (finding.library() == null) {
            assertTrue(finding.summary().contains("no CUDA driver: libcuda.so.1: cannot open shared object file"),
                    finding.summary());
            var e = assertThrows(BackendUnavailableException.class,
                    () -> new CudaProvider().open(BackendOptions.defaults()));
            assertTrue(e.getMessage().contains("libcuda.so.1"), e.getMessage());
        } else {
            assertTrue(finding.driverVersion() > 0, finding.summary());
        }
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void aFileThatIsNoLibraryIsNamed(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("libcuda.so.1"), "no library");
        CudaFinding finding = new CudaProvider("cuda", file).find();
        assertTrue(finding.problems().getLast().contains(file.toString()), finding.summary());
        assertFalse(finding.available());
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, architectures = "amd64")
    void aLibraryOfAnotherNameIsRefused() {
        Path libm = Path.of("/lib/x86_64-linux-gnu/libm.so.6");
        if (Files.exists(libm)) {
            CudaFinding finding = new CudaProvider("cuda", libm).find();
            assertEquals("no CUDA driver: " + libm + " does not have the soname libcuda.so.1",
                    finding.problems().getLast());
        }
    }

    @Test
    void otherPlatformsAreRefused() {
        String os = System.getProperty("os.name");
        try {
            System.setProperty("os.name", "Mac OS X");
            CudaFinding finding = new CudaProvider().find();
            assertEquals(1, finding.problems().size());
            assertTrue(finding.problems().getFirst().startsWith("CUDA needs Linux on x86-64, this is Mac OS X on "),
                    finding.summary());
        } finally {
            System.setProperty("os.name", os);
        }
    }

    @Test
    void ptxIsChosenByComputeCapability() {
        assertEquals(null, CudaDevice.ptxFor(72));
        assertEquals("sm_75", CudaDevice.ptxFor(75));
        assertEquals("sm_75", CudaDevice.ptxFor(89));
        assertEquals("sm_90", CudaDevice.ptxFor(90));
        assertEquals("sm_90", CudaDevice.ptxFor(120));
    }

    @Test
    void jcudasLibraryIsTheOneThatIsPinned() throws IOException {
        byte[] bytes;
        try (var in = JCudaNatives.class.getResourceAsStream(JCudaNatives.RESOURCE)) {
            bytes = in.readAllBytes();
        }
        assertDoesNotThrow(() -> JCudaNatives.check(bytes, "here"));
        bytes[bytes.length / 2] ^= 1;
        var e = assertThrows(IsobitException.class, () -> JCudaNatives.check(bytes, "here"));
        assertTrue(e.getMessage().startsWith("JCuda's native library here is not that of release 12.6.0"),
                e.getMessage());
    }

    @Test
    void aLibraryPlantedInTheLibraryPathIsRefused(@TempDir Path folder) throws IOException {
        assertDoesNotThrow(() -> JCudaNatives.refusePlanted(folder + ":/nowhere"));
        Path planted = Files.writeString(folder.resolve(JCudaNatives.LIBRARY), "planted");
        var e = assertThrows(IsobitException.class, () -> JCudaNatives.refusePlanted("/nowhere:" + folder));
        assertTrue(e.getMessage().contains(planted.toString()), e.getMessage());
    }

    @Test
    void driverVersionsReadAsCudaSaysThem() {
        assertEquals("11.8", CudaFinding.versionText(11080));
        assertEquals("12.6", CudaFinding.versionText(12060));
        assertEquals("13.0", CudaFinding.versionText(13000));
    }
}
