package dev.isobit.cuda;

/** The contract on the recording driver, whose memory is real and whose leaks are counted. */
@RecorderTest
class RecorderMemoryTest extends MemoryContract {}
