package dev.isobit.cuda;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** The same on a device that launches nothing cooperatively. */
@GpuTest
class GpuNonFiniteInPartsTest extends GpuNonFiniteTest {
    @BeforeAll
    static void divide() {
        System.setProperty(CudaProvider.COOPERATIVE_PROPERTY, "false");
    }

    @AfterAll
    static void restore() {
        System.clearProperty(CudaProvider.COOPERATIVE_PROPERTY);
    }
}
