package dev.isobit.sim;

import java.util.ArrayList;
import java.util.List;

/**
 * What is simulated. Immutable, range-checked.
 *
 * @param chips the devices, in the order of their ordinals; none for a machine without one; at most 8
 * @param memoryBytes memory of each device, in bytes; taken from the host as it is allocated
 * @param driverVersion the CUDA version that the driver claims to support: 12060 for 12.6
 * @param seed the order in which streams, blocks, warps and the ways of a branch get their turn where CUDA leaves it open;
 *     0 for the order in which work was queued. A correct program's results do not depend on it
 * @param sanitizing whether kernels are watched for races, reads of what nobody has written, divergent barriers; several
 *     times slower
 */
public record SimOptions(List<Chip> chips, long memoryBytes, int driverVersion, long seed, boolean sanitizing) {
    /** System property: chips, separated by commas, each with {@code :} and its multiprocessors if wanted. */
    public static final String CHIP_PROPERTY = "isobit.sim.chip";
    /** System property: memory of a device in MiB. */
    public static final String MEMORY_PROPERTY = "isobit.sim.memory";
    /** System property: the CUDA version of the driver, such as 12060. */
    public static final String DRIVER_PROPERTY = "isobit.sim.driver";
    /** System property: the seed. */
    public static final String SEED_PROPERTY = "isobit.sim.seed";
    /** System property: {@code true} to watch kernels. */
    public static final String SANITIZE_PROPERTY = "isobit.sim.sanitize";

    private static final int MOST_CHIPS = 8;
    private static final int MIB_SHIFT = 20;

    /** Checks the ranges. */
    public SimOptions {
        chips = List.copyOf(chips);
        if (chips.size() > MOST_CHIPS) {
            throw new IllegalArgumentException("chips: " + chips.size() + " are more than " + MOST_CHIPS);
        }
        if (memoryBytes < 1) {
            throw new IllegalArgumentException("memoryBytes = " + memoryBytes + " is not at least 1");
        }
        if (driverVersion < 1000) {
            throw new IllegalArgumentException("driverVersion = " + driverVersion + " is none, such as 12060 for 12.6");
        }
    }

    /**
     * One sm_90 with 4 GiB, a driver of CUDA 12.6, seed 1, not watched.
     *
     * @return default options
     */
    public static SimOptions defaults() {
        return new SimOptions(List.of(Chip.of("sm_90")), 4L << 30, 12060, 1, false);
    }

    /**
     * The defaults, as the system properties {@code isobit.sim.*} change them.
     *
     * @return options
     * @throws IllegalArgumentException if a property holds no such value; the message names it
     */
    public static SimOptions fromProperties() {
        SimOptions options = defaults();
        String chips = System.getProperty(CHIP_PROPERTY);
        if (chips != null) {
            List<Chip> wanted = new ArrayList<>();
            for (String chip : chips.split(",")) {
                String[] parts = chip.strip().split(":", 2);
                Chip known = Chip.of(parts[0]);
                wanted.add(parts.length == 1
                        ? known
                        : known.withMultiprocessors((int) number(CHIP_PROPERTY, parts[1], Integer.MAX_VALUE)));
            }
            options = options.withChips(wanted);
        }
        return new SimOptions(options.chips,
                property(MEMORY_PROPERTY, options.memoryBytes >> MIB_SHIFT, Long.MAX_VALUE >> MIB_SHIFT) << MIB_SHIFT,
                (int) property(DRIVER_PROPERTY, options.driverVersion, Integer.MAX_VALUE),
                property(SEED_PROPERTY, options.seed, Long.MAX_VALUE), sanitizes());
    }

    private static boolean sanitizes() {
        String value = System.getProperty(SANITIZE_PROPERTY, "false");
        return switch (value) {
            case "true" -> true;
            case "false" -> false;
            default -> throw new IllegalArgumentException(
                    "-D" + SANITIZE_PROPERTY + ": \"" + value + "\" is neither true nor false");
        };
    }

    private static long property(String name, long otherwise, long most) {
        String value = System.getProperty(name);
        return value == null ? otherwise : number(name, value, most);
    }

    private static long number(String name, String value, long most) {
        try {
            long number = Long.parseLong(value.strip());
            if (number > most) {
                throw new IllegalArgumentException("-D" + name + ": " + number + " is more than " + most);
            }
            return number;
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("-D" + name + ": \"" + value + "\" is no number", e);
        }
    }

    /**
     * A copy with other devices.
     *
     * @param chips the devices
     * @return changed options
     */
    public SimOptions withChips(List<Chip> chips) {
        return new SimOptions(chips, memoryBytes, driverVersion, seed, sanitizing);
    }

    /**
     * A copy with another amount of memory.
     *
     * @param memoryBytes of each device
     * @return changed options
     */
    public SimOptions withMemoryBytes(long memoryBytes) {
        return new SimOptions(chips, memoryBytes, driverVersion, seed, sanitizing);
    }

    /**
     * A copy with another driver.
     *
     * @param driverVersion the CUDA version that it claims
     * @return changed options
     */
    public SimOptions withDriverVersion(int driverVersion) {
        return new SimOptions(chips, memoryBytes, driverVersion, seed, sanitizing);
    }

    /**
     * A copy with another order.
     *
     * @param seed the seed
     * @return changed options
     */
    public SimOptions withSeed(long seed) {
        return new SimOptions(chips, memoryBytes, driverVersion, seed, sanitizing);
    }

    /**
     * A copy with or without the sanitizer.
     *
     * @param sanitizing whether kernels are watched
     * @return changed options
     */
    public SimOptions withSanitizing(boolean sanitizing) {
        return new SimOptions(chips, memoryBytes, driverVersion, seed, sanitizing);
    }
}
