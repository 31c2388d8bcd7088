/** Reads and writes safetensors files. */
module dev.isobit.safetensors {
    requires com.fasterxml.jackson.core;
    requires static org.jspecify;

    exports dev.isobit.safetensors;
}
