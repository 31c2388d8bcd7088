package dev.isobit.cuda;

/** The contract on a device. */
@GpuTest
class GpuSgdTest extends SgdContract {}
