package dev.isobit;

import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.CrossEntropyKernel;
import dev.isobit.spi.GuardedKernel;
import dev.isobit.spi.NllLossKernel;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SoftmaxKernel;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * A device that runs the operations: {@code reference} (float64, slow, obvious), {@code cpu} (Vector API),
 * {@code cuda}, {@code sim} (the kernels of {@code cuda} on a simulated device, for tests). All float32 backends return
 * the same bits.
 *
 * <p>Thread-safe. Ownership: whoever opened it closes it; closing releases workers, streams and memory that it
 * allocated. Idempotent.
 */
public interface Backend extends AutoCloseable {
    /**
     * Opens the best backend that runs here: {@code cuda}, else {@code cpu}, also where there is a device that cannot
     * be opened, for lack of memory for one. The system property {@code isobit.backend} forces one. What was passed
     * over, and why, is logged to the logger {@code isobit} and told by {@link #probes()}.
     *
     * @return an open backend
     * @throws BackendUnavailableException if the forced backend cannot run, or none can
     */
    static Backend best() {
        return Backends.best(BackendOptions.defaults());
    }

    /**
     * Opens the best backend that runs here with options.
     *
     * @param options threads, device
     * @return an open backend
     * @throws BackendUnavailableException if the forced backend cannot run, or none can
     */
    static Backend best(BackendOptions options) {
        return Backends.best(options);
    }

    /**
     * Opens a backend by name with default options.
     *
     * @param name {@code reference}, {@code cpu}, {@code cuda}, {@code sim}
     * @return an open backend
     * @throws BackendUnavailableException if it cannot run here; the message says why
     * @throws IllegalArgumentException if there is no such backend; the message lists those there are
     */
    static Backend open(String name) {
        return Backends.open(name, BackendOptions.defaults());
    }

    /**
     * Opens a backend by name.
     *
     * @param name {@code reference}, {@code cpu}, {@code cuda}, {@code sim}
     * @param options threads, device
     * @return an open backend
     * @throws BackendUnavailableException if it cannot run here; the message says why
     * @throws IllegalArgumentException if there is no such backend; the message lists those there are
     */
    static Backend open(String name, BackendOptions options) {
        return Backends.open(name, options);
    }

    /**
     * Every backend on the class or module path, best first: whether it runs here, and why not. One that
     * {@link #best()} could not open counts as not available until it has been opened.
     *
     * @return one entry per backend
     */
    static List<BackendProbe> probes() {
        return Backends.probes();
    }

    /**
     * The backend's name.
     *
     * @return {@code reference}, {@code cpu}, {@code cuda}, {@code sim}
     */
    String name();

    /**
     * What runs, for people: path, vector width, threads, device.
     *
     * @return one line
     */
    String description();

    /**
     * The floating-point types in which operations compute here; BF16 and F16, which some take as well, are not among them.
     *
     * @return types of logits and parameters
     */
    Set<DType> dtypes();

    /**
     * Whether operands lie in host memory.
     *
     * @return true for host memory, false for device memory
     */
    boolean usesHostMemory();

    /**
     * Whether the operations of this backend can use memory of this kind: host memory, or memory of its own device.
     *
     * @param memory some memory
     * @return true if tensors over it are taken
     */
    boolean accepts(Memory memory);

    /**
     * Allocates zeroed memory that the operations of this backend can use. It is released by {@link Memory#close}, or
     * with the backend; on the host by the garbage collector.
     *
     * @param byteSize size in bytes, at least 0
     * @return the memory
     * @throws IllegalArgumentException if the size is negative
     * @throws IsobitException if there is not enough memory
     */
    Memory allocate(long byteSize);

    /**
     * Allocates a zeroed tensor.
     *
     * @param dtype element type
     * @param shape sizes, outermost first; none for a scalar
     * @return a view of new memory
     */
    default Tensor allocate(DType dtype, long... shape) {
        long bytes = dtype.byteSize();
        for (long size : shape) {
            if (size < 0) {
                throw new IllegalArgumentException(
                        "allocate: " + dtype + Arrays.toString(shape) + " has a negative size");
            }
            bytes = size == 0 ? 0 : bytes;
        }
        for (long size : shape) {
            if (size > 0 && bytes > Long.MAX_VALUE / size) {
                throw new IllegalArgumentException(
                        "allocate: " + dtype + Arrays.toString(shape) + " is larger than 2^63 bytes");
            }
            bytes *= size;
        }
        return Tensor.of(dtype, allocate(bytes), 0, shape);
    }

    /**
     * Copies elements between host and this backend's memory, either way, or within; ordered after all that was
     * queued on the default stream, and finished on return. In host memory the two may overlap, on a device they may not.
     *
     * @param from source
     * @param to destination, of the same type and element count
     * @throws IllegalArgumentException if type or count differ, one lies on another device, {@code to} is read-only, or the
     *     two overlap on a device and are not the same
     * @throws IllegalStateException if the memory of one, or the backend, is closed
     * @throws WrongThreadException if the memory of one is confined to another thread
     * @throws IsobitException if something queued before failed
     */
    void copy(Tensor from, Tensor to);

    /**
     * The stream used where none is given.
     *
     * @return the default stream, owned by the backend
     */
    Stream defaultStream();

    /**
     * For {@link CrossEntropy}: prepares the operation on a stream.
     *
     * @param options options
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    CrossEntropyKernel crossEntropyKernel(CrossEntropyOptions options, Stream stream);

    /**
     * For {@link BceWithLogits}: prepares the operation on a stream.
     *
     * @param options options
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    BceWithLogitsKernel bceWithLogitsKernel(BceWithLogitsOptions options, Stream stream);

    /**
     * For {@link Softmax} and {@link LogSoftmax}: prepares the operation on a stream.
     *
     * @param logarithm whether it is log-softmax
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    SoftmaxKernel softmaxKernel(boolean logarithm, Stream stream);

    /**
     * For {@link NllLoss}: prepares the operation on a stream.
     *
     * @param options options
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    NllLossKernel nllLossKernel(NllLossOptions options, Stream stream);

    /**
     * For {@link Adam}: prepares the operation on a stream.
     *
     * @param groups the parameters, checked, with moments
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    AdamKernel adamKernel(List<AdamGroup> groups, Stream stream);

    /**
     * For {@link Sgd}: prepares the operation on a stream.
     *
     * @param groups the parameters, checked, with momentum buffers
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    SgdKernel sgdKernel(List<SgdGroup> groups, Stream stream);

    /**
     * For {@link Adam} and {@link Sgd} without {@link StepOptions}: from how many groups on their steps are those of
     * {@link #guardedAdamKernel} and {@link #guardedSgdKernel}, which keep the scalars of a group where the step runs, so that
     * a step costs the host the same however many there are.
     *
     * @return the most groups whose scalars a step takes from the host; here there is no limit
     */
    default int maxHostGroups() {
        return Integer.MAX_VALUE;
    }

    /**
     * For {@link Adam} with {@link StepOptions}: prepares the operation on a stream.
     *
     * @param groups the parameters, checked, with moments and, where the options ask for them, accumulators of gradients
     * @param step what is done around the update
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    GuardedKernel guardedAdamKernel(List<AdamGroup> groups, StepOptions step, Stream stream);

    /**
     * For {@link Sgd} with {@link StepOptions}: prepares the operation on a stream.
     *
     * @param groups the parameters, checked, with momentum buffers and, where the options ask for them, accumulators
     * @param step what is done around the update
     * @param stream a stream of this backend
     * @return the prepared operation, used by one thread
     */
    GuardedKernel guardedSgdKernel(List<SgdGroup> groups, StepOptions step, Stream stream);

    @Override
    void close();
}
