package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.ptx.Device;
import dev.isobit.ptx.Image;
import dev.isobit.ptx.Launch;
import dev.isobit.ptx.LaunchReport;
import dev.isobit.ptx.PtxModule;
import dev.isobit.ptx.Space;
import dev.isobit.ptx.Tracer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The committed PTX on the interpreter, launched as {@code params.h} says and not as the backend does it, so that a
 * mistake in the one is not a mistake in the other.
 */
final class PtxKernels implements AutoCloseable {
    static final Path PTX = Path.of(System.getProperty("isobit.home", "../.."), "kernels", "ptx");

    static final int MEAN = 1;
    static final int GRAD_LOSS_PER_ROW = 2;
    static final int TARGETS_I32 = 4;
    static final int MAXIMIZE = 1;
    static final int GRAD_DECAY = 2;
    static final int DISABLED = 4;

    private final Arena arena = Arena.ofConfined();
    final Device device;
    private static final Map<String, PtxModule> MODULES = new ConcurrentHashMap<>();
    /** Of what is shipped but for the first block or the length of rows; the last ones that were asked for. */
    private static final Map<String, PtxModule> CHANGED = Collections.synchronizedMap(new LinkedHashMap<>(64, 1, true) {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, PtxModule> eldest) {
            return size() > 48;
        }
    });
    /** Sizes of the structs of params.h, and of their fields where they lie. */
    private static final Map<String, Integer> SIZES = new HashMap<>();
    private static final Map<String, Map<String, Integer>> OFFSETS = readOffsets();
    /** By text: those that are not shipped as they are. */
    private final Map<String, PtxModule> modules;
    private final Map<PtxModule, Image> images = new IdentityHashMap<>();
    /** Scheduling order of the next launches; see {@link Launch#seed}. */
    long seed;
    /** Warp instructions of all launches. */
    long instructions;
    /** Bytes of global memory that all launches read and wrote. */
    long bytesRead;
    long bytesWritten;
    /** Of those read, what the thread before in the warp read by the same instruction: a device moves it once. */
    long bytesReadTogether;

    /** The first block that runs; where it is not 0, all that is left to do is its work. */
    long firstBlock;
    /** Whether rows of more than one segment go the way of those of more than are kept, where an op has one for these. */
    boolean longRows;
    /** Whether all blocks of the next launches run at once. */
    boolean cooperative;
    /** Most warp instructions of a launch; 0 for any number. */
    long limit;
    /** Is told of every instruction; or null. */
    Tracer tracer;
    /** Texts that are run in place of those that are shipped, by entry. */
    final Map<String, String> texts = new HashMap<>();

    /** Launches so far. */
    private int launches;

    /** @param sanitizing whether launches are watched for races and reads of what nobody has written; slow */
    PtxKernels(boolean sanitizing) {
        this(sanitizing, new HashMap<>());
    }

    /** @param modules parsed before by others of this thread, by text; more are added */
    PtxKernels(boolean sanitizing, Map<String, PtxModule> modules) {
        this.device = sanitizing ? Device.sanitizing() : new Device();
        this.modules = modules;
    }

    private static Map<String, Map<String, Integer>> readOffsets() {
        Pattern struct = Pattern.compile(" {2}\"(\\w+)\": \\{");
        Pattern size = Pattern.compile(" {4}\"size\": (\\d+),");
        Pattern field = Pattern.compile(" {6}\"(\\w+)\": \\{\"offset\": (\\d+), .*");
        Map<String, Map<String, Integer>> structs = new HashMap<>();
        String name = "";
        for (String line : read("params.json").lines().toList()) {
            Matcher m = struct.matcher(line);
            if (m.matches()) {
                name = m.group(1);
                structs.put(name, new HashMap<>());
            }
            m = size.matcher(line);
            if (m.matches()) {
                SIZES.put(name, Integer.parseInt(m.group(1)));
            }
            m = field.matcher(line);
            if (m.matches()) {
                structs.get(name).put(m.group(1), Integer.parseInt(m.group(2)));
            }
        }
        return structs;
    }

    static String read(String file) {
        try {
            return Files.readString(PTX.resolve(file));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The PTX of an entry; both files of its op take turns. */
    private PtxModule module(String op, String entry) {
        String file = op + (launches++ % 2 == 0 ? ".sm_75.ptx" : ".sm_90.ptx");
        String text = texts.get(entry);
        if (firstBlock == 0 && !longRows) {
            return text == null ? MODULES.computeIfAbsent(file, key -> PtxModule.parse(read(key))) : own(text);
        }
        if (text != null) {
            return own(changed(text, entry));
        }
        String key = file + " " + entry + " " + firstBlock + " " + longRows;
        PtxModule known = CHANGED.get(key);
        if (known == null) {
            known = PtxModule.parse(changed(PtxMutant.only(read(file), entry), entry));
            CHANGED.put(key, known);
        }
        return known;
    }

    /** Where the first block is another, or rows are to be long. */
    private String changed(String text, String entry) {
        String all = text;
        if (longRows) {
            // How many are kept, or how many classes they have.
            all = entry.contains("general")
                    ? all.replaceAll("(setp\\.[gl]t\\.s64 .*, )209715([23]);", "$1819$2;")
                    : all.replaceAll("(setp\\.lt\\.s32 .*, )(129|257);", "$12;")
                            .replaceAll("(setp\\.gt\\.s32 .*, )(128|256);", "$11;");
        }
        return firstBlock == 0
                ? all
                : all.replaceAll("%ctaid\\.x", Long.toString(firstBlock)).replaceAll("%nctaid\\.x", "1");
    }

    private PtxModule own(String text) {
        return modules.computeIfAbsent(text, PtxModule::parse);
    }

    /** Memory of which the first {@code skip} bytes, and what lies behind the end, are not the kernel's. */
    final class Buffer {
        final long address;
        final long skip;
        final long bytes;

        Buffer(long bytes, long skip) {
            this.skip = skip;
            this.bytes = bytes;
            this.address = device.allocate(skip + bytes) + skip;
        }

        /** For the host to write. */
        MemorySegment memory() {
            return device.memory(address, bytes);
        }

        /** For the host to read. */
        MemorySegment view() {
            return device.view(address, bytes);
        }

        /** As float32. */
        float[] floats(DType dtype) {
            return dtype == DType.F32
                    ? floats()
                    : HostTensors.floats(Tensor.of(dtype, view(), bytes / Short.BYTES));
        }

        /** Rounded to the type. */
        Buffer set(DType dtype, float[] values) {
            memory().copyFrom(HostTensors.of(dtype, values, values.length).segment());
            return this;
        }

        float[] floats() {
            return view().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
        }

        Buffer set(float[] values) {
            MemorySegment.copy(values, 0, memory(), ValueLayout.JAVA_FLOAT_UNALIGNED, 0, values.length);
            return this;
        }

        /** Whether what lies before it is still what memory is made of. */
        boolean isUntouchedBefore() {
            for (byte b : device.view(address - skip, skip).toArray(ValueLayout.JAVA_BYTE)) {
                if (b != -1) {
                    return false;
                }
            }
            return true;
        }

        void free() {
            device.free(address - skip);
        }
    }

    /** Makes the next memory start so many bytes, a multiple of 512, behind this buffer's; there is none between. */
    void leaveGap(Buffer from, long distance) {
        long first = useUpAddresses(0);
        long step = useUpAddresses(0) - first;
        useUpAddresses(from.address - from.skip + distance - first - 3 * step);
    }

    @SuppressWarnings("restricted")
    private long useUpAddresses(long bytes) {
        long address = device.map(MemorySegment.NULL.reinterpret(bytes));
        device.free(address);
        return address;
    }

    /** A struct of params.h. */
    final class Struct {
        private final String name;
        final MemorySegment bytes;

        Struct(String name) {
            this(name, arena.allocate(SIZES.get(name), 8));
        }

        Struct(String name, MemorySegment bytes) {
            this.name = name;
            this.bytes = bytes;
        }

        private int offset(String field) {
            Integer offset = OFFSETS.get(name).get(field);
            if (offset == null) {
                throw new IllegalArgumentException(name + " has no field " + field);
            }
            return offset;
        }

        boolean has(String field) {
            return OFFSETS.get(name).containsKey(field);
        }

        /** One of the structs that a field is an array of. */
        Struct element(String of, String field, int index) {
            return new Struct(of, bytes.asSlice(offset(field) + (long) index * SIZES.get(of), SIZES.get(of)));
        }

        Struct set(String field, long value) {
            bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, offset(field), value);
            return this;
        }

        Struct set(String field, Buffer buffer) {
            return set(field, buffer == null ? 0 : buffer.address);
        }

        Struct set(String field, int value) {
            bytes.set(ValueLayout.JAVA_INT_UNALIGNED, offset(field), value);
            return this;
        }

        Struct set(String field, float value) {
            bytes.set(ValueLayout.JAVA_FLOAT_UNALIGNED, offset(field), value);
            return this;
        }
    }

    int size(String struct) {
        return SIZES.get(struct);
    }

    void launch(String op, String entry, int grid, int block, int sharedBytes, Struct params) {
        PtxModule module = module(op, entry);
        Launch launch = Launch.of(firstBlock == 0 ? grid : 1, block).withSharedBytes(sharedBytes).withSeed(seed)
                .withLimit(limit).withCooperative(cooperative);
        Image image = images.computeIfAbsent(module, device::load);
        LaunchReport report = device.launch(image, module.entry(entry), launch, params.bytes, tracer);
        instructions += report.warpInstructions();
        bytesRead += report.bytesRead().getOrDefault(Space.GLOBAL, 0L);
        bytesReadTogether += report.bytesReadTogether();
        bytesWritten += report.bytesWritten().getOrDefault(Space.GLOBAL, 0L);
    }

    /** Of global memory, what all threads of a warp read at once counted once. */
    long bytesMoved() {
        return bytesRead - bytesReadTogether + bytesWritten;
    }

    @Override
    public void close() {
        device.close();
        arena.close();
    }
}
