package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The library itself: every function of the list is there, and those that nobody wrote say so. */
class StandInTest {
    private static final Path FUNCTIONS =
            Path.of(System.getProperty("isobit.home"), "native-build", "driver", "functions.h");

    private static List<String> functions() throws IOException {
        return Pattern.compile("^DRIVER_FUNCTION\\((\\w+)\\)$", Pattern.MULTILINE)
                .matcher(Files.readString(FUNCTIONS)).results().map(found -> found.group(1)).toList();
    }

    @Test
    void itHasEveryFunctionThatJcudaLinksTo() throws IOException {
        List<String> functions = functions();
        assertEquals(312, functions.size());
        SimSession.driver();
        for (String function : functions) {
            assertTrue(Driver.exists(function), function);
        }
        assertTrue(functions.containsAll(DriverFunctions.NAMES), "functions that the list does not have");
    }

    @Test
    void aFunctionThatIsMissingSaysItsName() throws IOException {
        SimulatedDriver simulated = SimSession.driver();
        try (var driver = new Driver()) {
            List<String> missing = functions().stream().filter(name -> !DriverFunctions.NAMES.contains(name)).toList();
            assertTrue(missing.size() > 200, missing.size() + " are missing");
            for (String function : missing) {
                assertEquals(Result.NOT_SUPPORTED.code(), driver.call(function), function);
            }
            assertEquals(missing, simulated.notSupported());
        }
    }

    @Test
    void aTextEndsAtItsFirstZeroByte() {
        try (var arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(64, 8);
            for (int from = 0; from < 9; from++) {
                for (int length = 0; length < 40; length++) {
                    // Of every value, 0x80 and 0x01 too, which differ from 0 by what the search looks at.
                    memory.fill((byte) (length % 3 == 0 ? 0x80 : length % 3 == 1 ? 0x01 : 'x'));
                    memory.set(ValueLayout.JAVA_BYTE, from + length, (byte) 0);
                    assertEquals(length, StandIn.text(memory.address() + from).byteSize(), from + " " + length);
                }
            }
        }
    }

    /** Eleven arguments, five of them on the stack. */
    @Test
    void argumentsArriveAsTheyWere() {
        try (var driver = new Driver()) {
            long memory = driver.device(1, 2, 3);
            driver.check("cuMemsetD8_v2", memory + 1, (byte) 0xab, 2L);
            assertEquals(0x00abab01, driver.read(memory, 1)[0]);
            driver.check("cuMemsetD32_v2", memory + 4, 0x12345678, 2L);
            assertEquals(0x12345678, driver.read(memory, 3)[2]);
            assertEquals(0, driver.launch(driver.addOne(), 3, 0, memory, memory));
            assertEquals(0x12345679, driver.read(memory, 3)[1]);
        }
    }

    @Test
    void resultsHaveTheirNames() {
        try (var driver = new Driver()) {
            assertEquals("CUDA_ERROR_ILLEGAL_ADDRESS", StandIn.getText(name(driver, "cuGetErrorName", 700)));
            assertEquals("illegal address", StandIn.getText(name(driver, "cuGetErrorString", 700)));
            assertEquals("CUDA_SUCCESS", StandIn.getText(name(driver, "cuGetErrorName", 0)));
            assertEquals(Result.INVALID_VALUE.code(),
                    driver.call("cuGetErrorName", 12345, driver.host(0, 0).address()));
        }
    }

    private static long name(Driver driver, String function, int code) {
        var out = driver.host(0, 0);
        driver.check(function, code, out.address());
        return StandIn.getLong(out.address());
    }
}
