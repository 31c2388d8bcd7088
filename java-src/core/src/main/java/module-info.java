/** Fused losses and optimizers with the same bits on every path. */
module dev.isobit {
    requires static org.jspecify;
    requires jdk.incubator.vector;
    requires java.management;

    exports dev.isobit;
    exports dev.isobit.math;
    exports dev.isobit.spi;

    uses dev.isobit.spi.BackendProvider;

    provides dev.isobit.spi.BackendProvider with
            dev.isobit.cpu.CpuProvider,
            dev.isobit.reference.ReferenceProvider;
}
