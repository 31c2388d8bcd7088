package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SimOptionsTest {
    private static final List<String> PROPERTIES = List.of(SimOptions.CHIP_PROPERTY, SimOptions.MEMORY_PROPERTY,
            SimOptions.DRIVER_PROPERTY, SimOptions.SEED_PROPERTY, SimOptions.SANITIZE_PROPERTY);

    @AfterEach
    void restore() {
        PROPERTIES.forEach(System::clearProperty);
    }

    @Test
    void propertiesChangeTheDefaults() {
        assertEquals(SimOptions.defaults(), SimOptions.fromProperties());
        System.setProperty(SimOptions.CHIP_PROPERTY, "sm_75, sm_120:3");
        System.setProperty(SimOptions.MEMORY_PROPERTY, "512");
        System.setProperty(SimOptions.DRIVER_PROPERTY, "11080");
        System.setProperty(SimOptions.SEED_PROPERTY, "-9");
        System.setProperty(SimOptions.SANITIZE_PROPERTY, "true");
        assertEquals(new SimOptions(List.of(Chip.of("sm_75"), Chip.of("sm_120").withMultiprocessors(3)), 512L << 20,
                11080, -9, true), SimOptions.fromProperties());
    }

    @Test
    void whatIsNoneIsNamed() {
        refused(SimOptions.CHIP_PROPERTY, "sm_61", "no chip \"sm_61\"; there are sm_75, sm_86, sm_90, sm_120");
        refused(SimOptions.CHIP_PROPERTY, "sm_90:0", "multiprocessors = 0");
        refused(SimOptions.MEMORY_PROPERTY, "4G", "-Disobit.sim.memory: \"4G\" is no number");
        refused(SimOptions.MEMORY_PROPERTY, "0", "memoryBytes = 0");
        refused(SimOptions.MEMORY_PROPERTY, "9000000000000", "9000000000000 is more than ");
        refused(SimOptions.DRIVER_PROPERTY, "12", "driverVersion = 12");
        refused(SimOptions.DRIVER_PROPERTY, "12060000000", "is more than 2147483647");
        refused(SimOptions.SANITIZE_PROPERTY, "1", "-Disobit.sim.sanitize: \"1\" is neither true nor false");
    }

    private static void refused(String property, String value, String message) {
        System.setProperty(property, value);
        var e = assertThrows(IllegalArgumentException.class, SimOptions::fromProperties);
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(SimProvider.probeOwnJvm().detail().contains(message), SimProvider.probeOwnJvm().detail());
        System.clearProperty(property);
    }
}
