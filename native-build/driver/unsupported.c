// The functions of libcuda.so.1 that a stand-in does not implement: each says its name and returns
// CUDA_ERROR_NOT_SUPPORTED. They are weak: a stand-in replaces one by defining it.

#include "driver.h"

#define DRIVER_FUNCTION(name) \
    __attribute__((weak)) CUresult name(void) { return driver_unsupported(#name); }
#include "functions.h"
#undef DRIVER_FUNCTION
