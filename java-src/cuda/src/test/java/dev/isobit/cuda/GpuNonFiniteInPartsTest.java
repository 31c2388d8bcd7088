package dev.isobit.cuda;

import org.junit.jupiter.api.extension.ExtendWith;

/** The same on a device that launches nothing cooperatively. */
@ExtendWith(InParts.class)
@GpuTest
class GpuNonFiniteInPartsTest extends GpuNonFiniteTest {}
