package dev.isobit.cuda;

/**
 * An entry of a loaded module.
 *
 * @param name the entry's name
 * @param handle the driver's handle
 */
record CudaFunction(String name, Handles.Function handle) {}
