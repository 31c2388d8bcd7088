package dev.isobit.cuda;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Tests of a class that need kernels to run: on a real device, or on whatever stands in for the driver and runs PTX.
 * Without one they are skipped, with the reason. They find the device as a user does, through {@link CudaProvider}.
 */
@Tag("gpu")
@ExtendWith(GpuExtension.class)
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
@interface GpuTest {}
