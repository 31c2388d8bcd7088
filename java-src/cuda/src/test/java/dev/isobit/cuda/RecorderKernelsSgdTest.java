package dev.isobit.cuda;

import org.junit.jupiter.api.extension.ExtendWith;

/** The contract with kernels in Java: what they find in the argument block is all they know. */
@RecorderTest
@ExtendWith(RecorderKernels.class)
class RecorderKernelsSgdTest extends SgdContract {}
