package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.BackendUnavailableException;
import dev.isobit.DeviceMemory;
import dev.isobit.Memory;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.cuda.CudaException;
import dev.isobit.cuda.CudaProvider;
import dev.isobit.cuda.LaunchMethod;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The backend {@code sim} as a user meets it. */
class SimBackendTest {
    private static SimulatedDriver driver() {
        return SimSession.driver();
    }

    @Test
    void itIsTheCudaBackendUnderItsOwnName() {
        try (Backend backend = Backend.open("sim"); Memory memory = backend.allocate(8)) {
            assertInstanceOf(CudaBackend.class, backend);
            assertEquals("sim", backend.name());
            assertTrue(backend.description().contains("Isobit simulator sm_90"), backend.description());
            assertEquals("sim", ((DeviceMemory) memory).backendName());
            assertTrue(memory.toString().contains("sim device 0"), memory.toString());
        }
    }

    @Test
    void itIsOpenedByNameOnly() {
        BackendProbe probe = Backend.probes().getLast();
        assertEquals("sim", probe.name());
        assertTrue(probe.available(), probe.detail());
        assertEquals("PTX interpreted on a simulated sm_90: for tests, slow", probe.detail());
        int reference = Backend.probes().stream().map(BackendProbe::name).toList().indexOf("reference");
        assertEquals(Backend.probes().size() - 2, reference, "the reference runs anywhere, and comes before");
    }

    @ParameterizedTest
    @CsvSource({"sm_75, sm_75, 40", "sm_86, sm_75, 28", "sm_90, sm_90, 132", "sm_120, sm_90, 36"})
    void chipsTakeTheirPtxAndHaveTheCpusBits(String chip, String ptx, int multiprocessors) {
        driver().reset(SimOptions.defaults().withChips(List.of(Chip.of(chip))));
        try (var backend = (CudaBackend) Backend.open("sim")) {
            assertEquals(ptx, backend.device().ptx());
            assertEquals(multiprocessors, backend.device().multiprocessors());
            assertArrayEquals(Workload.bits("cpu"), Workload.bits(backend));
        }
    }

    /** The order that CUDA leaves open changes nothing, and the sanitizer finds nothing. */
    @ParameterizedTest
    @ValueSource(longs = {0, 2, 3, 4, 5})
    void noOrderChangesABit(long seed) {
        driver().reset(SimOptions.defaults().withSeed(seed).withSanitizing(seed == 5));
        try (Backend backend = Backend.open("sim")) {
            assertArrayEquals(Workload.bits("cpu"), Workload.bits(backend));
        }
        assertEquals(2, driver().launches().get("adam_step_f32"));
        assertTrue(driver().threadInstructions() > 1000);
    }

    @ParameterizedTest
    @EnumSource(LaunchMethod.class)
    void bothLaunchersComeHere(LaunchMethod method) {
        try (Backend backend =
                new CudaProvider(SimProvider.NAME, driver().library()).open(BackendOptions.defaults(), method)) {
            assertArrayEquals(Workload.bits("cpu"), Workload.bits(backend));
            assertTrue(driver().calls().get("cuLaunchKernel") > 10, driver().calls().toString());
        }
    }

    @Test
    void severalDevicesAreApart() {
        driver().reset(SimOptions.defaults().withChips(List.of(Chip.of("sm_75"), Chip.of("sm_90"))));
        try (var first = (CudaBackend) Backend.open("sim");
                var second = (CudaBackend) Backend.open("sim", BackendOptions.defaults().withDeviceOrdinal(1));
                Memory memory = second.allocate(64)) {
            assertArrayEquals(Workload.bits(first), Workload.bits(second));
            assertFalse(first.accepts(memory));
            var e = assertThrows(IllegalArgumentException.class, () -> first.wrap(memory.address(), 8));
            assertTrue(e.getMessage().contains("lies on device 1"), e.getMessage());
        }
    }

    @Test
    void anOldDriverAndNoDeviceAreSaid() {
        driver().reset(SimOptions.defaults().withDriverVersion(11070));
        unavailable("the driver is too old: it supports CUDA 11.7");
        driver().reset(SimOptions.defaults().withChips(List.of()));
        unavailable("the CUDA driver finds no device");
        driver().reset(SimOptions.defaults().withDriverVersion(11080));
        Backend.open("sim").close();
    }

    private static void unavailable(String reason) {
        var e = assertThrows(BackendUnavailableException.class, () -> Backend.open("sim"));
        assertTrue(e.getMessage().startsWith("backend sim cannot run here: " + reason), e.getMessage());
    }

    @Test
    void memoryEndsWhereTheDevicesDoes() {
        driver().reset(SimOptions.defaults().withMemoryBytes(1 << 20));
        try (Backend backend = Backend.open("sim"); Memory half = backend.allocate(1 << 19)) {
            assertTrue(half.isAlive());
            var e = assertThrows(CudaException.class, () -> backend.allocate((1 << 19) + 1));
            assertTrue(e.getMessage().contains("CUDA_ERROR_OUT_OF_MEMORY"), e.getMessage());
            backend.allocate(1 << 18).close();
        }
    }

    @Test
    void aSecondDriverIsRefused() {
        assertThrows(dev.isobit.IsobitException.class, () -> SimulatedDriver.start(SimOptions.defaults()));
        try (Backend backend = Backend.open("sim")) {
            assertEquals("sim", backend.name());
            assertThrows(IllegalStateException.class, () -> driver().reset(SimOptions.defaults()));
        }
    }
}
