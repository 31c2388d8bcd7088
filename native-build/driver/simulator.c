// The stand-in for libcuda.so.1 behind which a driver written in Java runs. Every function of functions.h jumps through
// a pointer of its own, slot_<name>, which Java finds by name and sets to code of its own; arguments and stack stay as
// the caller left them. One whose pointer was never set returns CUDA_ERROR_NOT_SUPPORTED and says its name to
// slot_not_supported. There is no other code here: what the driver does is written in java-src/sim.
//
// For x86-64, as libJCudaDriver is. Needs no other library.

#include "driver.h"

static CUresult nobody_listens(const char* function) {
    (void)function;
    return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult (*slot_not_supported)(const char*) = nobody_listens;

// Tail jump through the slot: whatever the signature of the function, its arguments are where they have to be.
// clang-format off
#define DRIVER_FUNCTION(name)                                                        \
    static CUresult unsupported_##name(void) { return slot_not_supported(#name); }   \
    __attribute__((visibility("protected"))) void* slot_##name = unsupported_##name; \
    __asm__(".text\n.globl " #name "\n.type " #name ", @function\n" #name ":\n"      \
            "\tjmp *slot_" #name "(%rip)\n.size " #name ", . - " #name "\n");
// clang-format on
#include "functions.h"
#undef DRIVER_FUNCTION
