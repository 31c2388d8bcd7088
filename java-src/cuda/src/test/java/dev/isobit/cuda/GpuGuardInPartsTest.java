package dev.isobit.cuda;

import org.junit.jupiter.api.extension.ExtendWith;

/** The contract on a device that launches nothing cooperatively. */
@ExtendWith(InParts.class)
@GpuTest
class GpuGuardInPartsTest extends GuardContract {}
