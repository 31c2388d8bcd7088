/**
 * Parser, interpreter and sanitizer for PTX: runs NVIDIA kernels on a machine without a GPU, with the GPU's own bits.
 *
 * <p>Every instruction that is executed has one exact result by the PTX definition: integer and bit operations,
 * conversions, and IEEE arithmetic in f32, f64, f16 and bf16. What PTX leaves open to the hardware ({@code .approx},
 * {@code .full}, floating-point atomics) is refused when the text is read, with its line.
 *
 * {@snippet :
 * PtxModule module = PtxModule.parse(Files.readString(Path.of("axpy.sm_75.ptx")));
 * try (Device device = new Device(); Arena arena = Arena.ofConfined()) {
 *     MemorySegment x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1f, 2f, 3f);
 *     MemorySegment arguments = arena.allocate(16, 8); // struct { float* x; float a; int n; }, by value
 *     arguments.set(ValueLayout.JAVA_LONG, 0, device.map(x));
 *     arguments.set(ValueLayout.JAVA_FLOAT, 8, 0.5f);
 *     arguments.set(ValueLayout.JAVA_INT, 12, 3);
 *     LaunchReport report = device.launch(module.entry("axpy"), Launch.of(1, 128), arguments);
 *     System.out.println(x.get(ValueLayout.JAVA_FLOAT, 0) + " after " + report.threadInstructions() + " instructions");
 * }
 * }
 *
 * <p>{@link dev.isobit.ptx.Device#sanitizing} makes a device that also looks for what a kernel may not do.
 *
 * <h2>Where PTX leaves a choice</h2>
 * <ul>
 * <li>NaN: f32 arithmetic, conversion, {@code min} and {@code max} write 0x7fffffff, f16 and bf16 0x7fff, as PTX says;
 * f64 writes 0x7ff8000000000000. {@code abs} and {@code neg} change the sign bit alone. Moves, loads, stores, selections
 * and {@code copysign} keep all bits.
 * <li>Division of a whole number by 0 gives all ones, the remainder the dividend.
 * <li>Shared, local and allocated global memory starts as bytes of 0xff, registers as 0.
 * <li>Accesses take effect in program order of each thread and at once for all: weak memory order is not simulated, only
 * watched by the sanitizer. {@code cp.async} copies when it is waited for.
 * <li>Clocks count the warp instructions of the launch.
 * <li>Blocks run one after the other, those of a cluster together, all of a cooperative launch together. Threads of a
 * warp that part meet again at the nearest instruction that all ways pass; a thread that others wait for is never held
 * up there for ever. When no thread can go on, the launch ends with a fault that says where they wait.
 * </ul>
 */
package dev.isobit.ptx;
