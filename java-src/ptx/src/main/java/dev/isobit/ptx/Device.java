package dev.isobit.ptx;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A simulated device: global memory and the launching of kernels on it.
 *
 * <p>Memory has an address space of its own. A piece of it is either allocated here or a segment of the caller's that
 * was mapped; both have known bounds, lie far apart, and their addresses are never used again, so that an access past
 * an end or to freed memory is always recognised.
 *
 * <p>Thread-safe: memory may be managed from any thread; launches on one device run one after the other.
 */
public final class Device implements AutoCloseable {
    private static final long FIRST_ADDRESS = 0x2_0000_0000L;
    private static final long ALIGNMENT = 512;
    private static final long GAP = 1 << 24;
    private static final int MOST_DEVICES = 64;

    private final TreeMap<Long, Allocation> memory = new TreeMap<>();
    private final Map<Long, Arena> arenas = new TreeMap<>();
    private final Map<PtxModule, Image> images = new IdentityHashMap<>();
    private final Object running = new Object();
    private final long endAddress;
    private long nextAddress;
    private boolean closed;

    private final boolean sanitizing;
    private final List<Finding> findings = new ArrayList<>();

    /** Makes an empty device. */
    public Device() {
        this(false, FIRST_ADDRESS, Space.FIRST_WINDOW);
    }

    private Device(boolean sanitizing, long firstAddress, long endAddress) {
        this.sanitizing = sanitizing;
        this.nextAddress = firstAddress;
        this.endAddress = endAddress;
    }

    /**
     * Makes one empty device of several that share the addresses: no address belongs to two of them.
     *
     * @param index which one, from 0
     * @param count how many there are, 1 to 64
     * @param sanitizing whether it watches its launches, as {@link #sanitizing()} says
     * @return the device
     * @throws IllegalArgumentException when there is no such device of so many
     */
    public static Device of(int index, int count, boolean sanitizing) {
        if (index < 0 || index >= count || count > MOST_DEVICES) {
            throw new IllegalArgumentException("device " + index + " of " + count + ", at most " + MOST_DEVICES);
        }
        long share = (Space.FIRST_WINDOW - FIRST_ADDRESS) / count / ALIGNMENT * ALIGNMENT;
        long first = FIRST_ADDRESS + index * share;
        return new Device(sanitizing, first, first + share);
    }

    /**
     * Makes an empty device that watches its launches. There, an access that memory refuses is reported and left out (a
     * read gives 0) instead of ending the launch; races, reads of memory that nobody has written and divergent barriers
     * are reported too: see {@link Finding.Kind}. Launches are several times slower.
     *
     * @return the device
     */
    public static Device sanitizing() {
        return new Device(true, FIRST_ADDRESS, Space.FIRST_WINDOW);
    }

    /**
     * Allocates memory. Every byte of it is 0xff, and counts as not written.
     *
     * @param bytes its size
     * @return its address, a multiple of 512
     * @throws OutOfMemoryError when the host has no room for it
     * @throws IllegalStateException when the device is closed
     */
    public long allocate(long bytes) {
        return allocate(bytes, null);
    }

    long allocate(long bytes, String name) {
        Arena arena = Arena.ofShared();
        try {
            MemorySegment segment = arena.allocate(Math.max(1, bytes), 64).asSlice(0, bytes);
            segment.fill((byte) -1);
            synchronized (memory) {
                long address = map(segment, name, sanitizing);
                arenas.put(address, arena);
                return address;
            }
        } catch (RuntimeException | OutOfMemoryError e) {
            arena.close();
            throw e;
        }
    }

    /**
     * Makes a segment of the caller's visible to kernels; it counts as written. The caller keeps it alive, and accessible to the thread that
     * launches, until it is unmapped by {@link #free}.
     *
     * @param segment any segment, native or of the heap
     * @return the address of its first byte, a multiple of 512
     */
    public long map(MemorySegment segment) {
        return map(segment, null, false);
    }

    private long map(MemorySegment segment, String name, boolean tracked) {
        synchronized (memory) {
            if (closed) {
                throw new IllegalStateException("the device is closed");
            }
            long address = nextAddress;
            long end = address + segment.byteSize() + GAP;
            if (end > endAddress) {
                throw new IllegalStateException("the addresses of the device are used up");
            }
            nextAddress = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            memory.put(address, new Allocation(this, address, segment, name, tracked));
            return address;
        }
    }

    /**
     * Frees allocated memory, or unmaps a segment.
     *
     * @param address what {@link #allocate} or {@link #map} gave
     * @throws IllegalArgumentException when no live piece of memory starts at this address
     */
    public void free(long address) {
        synchronized (memory) {
            Allocation allocation = memory.get(address);
            if (allocation == null || allocation.freed) {
                throw new IllegalArgumentException(String.format("no memory starts at 0x%x", address));
            }
            allocation.free();
            Arena arena = arenas.remove(address);
            if (arena != null) {
                arena.close();
            }
        }
    }

    /**
     * A range of device memory for the host to write: it counts as written from now on. To read, use {@link #view}.
     *
     * @param address of its first byte
     * @param bytes its length
     * @return the memory itself, no copy
     * @throws IndexOutOfBoundsException when the range is not within one live piece of memory
     */
    public MemorySegment memory(long address, long bytes) {
        Allocation allocation = range(address, bytes);
        allocation.setWritten(address - allocation.base, bytes);
        return allocation.segment.asSlice(address - allocation.base, bytes);
    }

    /**
     * A range of device memory for the host to read.
     *
     * @param address of its first byte
     * @param bytes its length
     * @return the memory itself, no copy, read-only
     * @throws IndexOutOfBoundsException when the range is not within one live piece of memory
     */
    public MemorySegment view(long address, long bytes) {
        Allocation allocation = range(address, bytes);
        return allocation.segment.asSlice(address - allocation.base, bytes).asReadOnly();
    }

    private Allocation range(long address, long bytes) {
        Allocation allocation = find(address);
        if (allocation == null || allocation.freed || bytes < 0
                || bytes > allocation.size - (address - allocation.base)) {
            throw new IndexOutOfBoundsException(String.format("no memory of %d bytes at 0x%x", bytes, address));
        }
        return allocation;
    }

    /** {@return the addresses of all memory that is allocated or mapped and not yet freed, without modules' variables} */
    public List<Long> live() {
        synchronized (memory) {
            return memory.values().stream().filter(a -> !a.freed && a.name == null).map(a -> a.base).toList();
        }
    }

    /** {@return what the sanitizer has found in all launches so far, those that ended with a fault included} */
    public List<Finding> findings() {
        synchronized (running) {
            return List.copyOf(findings);
        }
    }

    /** The last piece of memory that starts at or below an address, freed or not; null if there is none. */
    Allocation find(long address) {
        synchronized (memory) {
            Map.Entry<Long, Allocation> entry = memory.floorEntry(address);
            return entry == null ? null : entry.getValue();
        }
    }

    /**
     * Loads a module: gives its global variables memory of their own, holding their initial values or 0.
     *
     * @param module any module
     * @return the loaded module
     */
    public Image load(PtxModule module) {
        return new Image(this, module);
    }

    /**
     * Launches a kernel and waits for its end. Its module is loaded once per device, by the first such launch.
     *
     * @param entry the kernel
     * @param launch how
     * @param arguments the argument block, laid out as {@link Entry#parameters} says
     * @return what the launch did
     * @throws DeviceFault when the kernel cannot go on
     * @throws IllegalArgumentException when the launch does not fit the kernel
     */
    public LaunchReport launch(Entry entry, Launch launch, MemorySegment arguments) {
        Image image;
        synchronized (images) {
            image = images.computeIfAbsent(entry.module(), this::load);
        }
        return launch(image, entry, launch, arguments, null);
    }

    /**
     * Launches a kernel of a loaded module and waits for its end.
     *
     * @param image the loaded module
     * @param entry a kernel of this module
     * @param launch how
     * @param arguments the argument block, laid out as {@link Entry#parameters} says
     * @param tracer is told of every instruction; may be null
     * @return what the launch did
     * @throws DeviceFault when the kernel cannot go on
     * @throws IllegalArgumentException when the launch does not fit the kernel
     * @throws IllegalStateException when the module was unloaded
     */
    public LaunchReport launch(Image image, Entry entry, Launch launch, MemorySegment arguments, Tracer tracer) {
        check(image, entry, launch, arguments);
        synchronized (running) {
            Grid grid = new Grid(this, image, entry.program(), launch, arguments, sanitizing, tracer);
            try {
                return grid.run();
            } finally {
                findings.addAll(grid.findings());
            }
        }
    }

    private void check(Image image, Entry entry, Launch launch, MemorySegment arguments) {
        if (image.module() != entry.module()) {
            throw new IllegalArgumentException("entry " + entry + " is of another module");
        }
        if (image.isClosed()) {
            throw new IllegalStateException("the module of " + entry + " was unloaded");
        }
        if (arguments.byteSize() < entry.parameterBytes()) {
            throw new IllegalArgumentException("arguments of " + arguments.byteSize() + " bytes, " + entry + " takes "
                    + entry.parameterBytes());
        }
        if (launch.block().size() > entry.maxThreads()) {
            throw new IllegalArgumentException("block " + launch.block() + " has more than the " + entry.maxThreads()
                    + " threads that " + entry + " allows");
        }
        if (sanitizing && launch.grid().size() * launch.block().size() > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("the sanitizer watches up to 2^31 - 1 threads; grid " + launch.grid()
                    + " of blocks " + launch.block() + " has more");
        }
        if (entry.requiredBlock() != null && !entry.requiredBlock().equals(launch.block())) {
            throw new IllegalArgumentException("block " + launch.block() + ", " + entry + " needs "
                    + entry.requiredBlock());
        }
        if (entry.requiredCluster() != null && !entry.requiredCluster().equals(launch.cluster())) {
            throw new IllegalArgumentException("cluster " + launch.cluster() + ", " + entry + " needs "
                    + entry.requiredCluster());
        }
    }

    /** Frees all memory. Idempotent. */
    @Override
    public void close() {
        synchronized (memory) {
            closed = true;
            memory.values().forEach(Allocation::free);
            arenas.values().forEach(Arena::close);
            arenas.clear();
        }
    }
}
