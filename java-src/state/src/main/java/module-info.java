/** Optimizer state on disk. */
module dev.isobit.state {
    requires transitive dev.isobit;
    requires dev.isobit.safetensors;
    requires static org.jspecify;

    exports dev.isobit.state;
}
