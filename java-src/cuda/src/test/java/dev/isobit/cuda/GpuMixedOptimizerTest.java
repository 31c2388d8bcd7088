package dev.isobit.cuda;

/** The contract on a device. */
@GpuTest
class GpuMixedOptimizerTest extends MixedOptimizerContract {}
