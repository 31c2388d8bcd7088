// A libcuda.so.1 that records. It lets the launch code of the cuda module run where there is no GPU: device memory is
// real host memory between guards, a launch runs nothing and is written down with its grid, block, shared bytes, stream
// and every byte of its argument block (the size comes from the .param of the PTX that was loaded), and any function
// can be told to fail at any call. What a stream is given is done late, when something waits for it, so that a wait
// which is missing shows. What the real driver refuses is refused here: a null handle, a missing context, a
// copy out of bounds, a block larger than .maxntid. What it would only suffer from (a freed block used, a guard
// overwritten) counts as a violation.
//
// Functions named recorder_* are the control side; a test calls them through java.lang.foreign.

#include "driver.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MAX_DEVICES = 8,
    MAX_FAULTS = 32,
    MAX_LOG = 1 << 16,
    MAX_LAUNCHES = 4096,
    MAX_ARGUMENTS = 4096,
    MAX_PARAMETERS = 16,
    MAX_VIOLATIONS = 64,
    GUARD = 256
};

static const unsigned char GUARD_BYTE = 0xfd, FRESH_BYTE = 0xa5, FREED_BYTE = 0xdd;

// One allocation of device or pinned host memory: GUARD bytes, the block, GUARD bytes.
typedef struct Block {
    unsigned char* base;
    size_t size;
    int device;
    int pinned;
    struct Block* next;
} Block;

typedef struct Device {
    char name[64];
    int major, minor, multiprocessors;
    size_t memory, used;
    int retained;
    CUresult lost; // not 0: the error that every call into the context returns from now on
} Device;

struct Context {
    int device;
};

struct Function {
    char name[128];
    uint32_t parameters, parameter_bytes[MAX_PARAMETERS];
    uint32_t max_threads, max_shared;
    struct Module* module;
    struct Function* next;
};

struct Module {
    int device, alive;
    struct Function* functions;
    struct Module* next;
};

struct StreamHandle {
    int device, alive;
    struct Graph* capture; // takes what the stream is given, while it is captured; else NULL
    int invalid;           // the capture met what cannot be captured
    struct StreamHandle* next;
};

struct Event {
    int device, alive, recorded;
    double milliseconds;
    struct Event* next;
};

// What a launch was given. The layout is read by name of field in the tests.
typedef struct Launch {
    char function[128];
    uint32_t grid[3], block[3];
    uint32_t shared, cooperative;
    uint64_t stream;
    uint32_t device, argument_bytes;
    unsigned char arguments[MAX_ARGUMENTS];
} Launch;

// What was queued and is not done yet, of all streams in one order.
typedef struct Work {
    enum { FILL, COPY, RUN } kind;
    int device;
    unsigned char *to, value;
    const unsigned char* from;
    size_t size;
    Launch launch;
    struct Work* next;
} Work;

// What was captured from a stream, or was made of that to be launched.
struct Graph {
    int device, alive, executable;
    Work *first, **end;
    struct Graph* next;
};

typedef struct Fault {
    char function[64];
    long call; // which call from now on, 1 the next; 0 every call
    CUresult result;
    long seen, fired;
} Fault;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread CUcontext current;
static __thread CUstream captured; // by this thread

static int initialised, device_count = 1, driver_version = 12060, recording = 1;
static int resident_blocks = 2; // of any kernel that a multiprocessor runs at once; -1: no cooperative launches
static Device devices[MAX_DEVICES];
static struct Context contexts[MAX_DEVICES];
static Block* blocks;
static struct Module* modules;
static struct StreamHandle* streams;
static struct Event* events;
static struct Graph* graphs;
static Launch launches[MAX_LAUNCHES];
static void (*kernels)(const Launch*); // runs in place of a kernel; NULL: nothing runs
static long launch_count;
static const char* call_log[MAX_LOG];
static long call_count;
static Fault faults[MAX_FAULTS];
static int fault_count;
static Work *first_work, **end_of_work = &first_work;
static char violations[MAX_VIOLATIONS][256];
static long violation_count;
static const char* unsupported[MAX_LOG];
static long unsupported_count;

static void violation(const char* format, ...) {
    if (violation_count < MAX_VIOLATIONS) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(violations[violation_count], sizeof violations[0], format, arguments);
        va_end(arguments);
    }
    violation_count++;
}

// The first device is always the same; the others are what a test makes of them.
__attribute__((constructor)) static void set_up(void) {
    for (int i = 0; i < MAX_DEVICES; i++) {
        snprintf(devices[i].name, sizeof devices[i].name, "Recorder %d", i);
        devices[i].major = 8;
        devices[i].minor = 0;
        devices[i].multiprocessors = 108;
        devices[i].memory = (size_t)1 << 30;
        contexts[i].device = i;
    }
}

// What the chips of a compute capability give a block at most.
static int shared_per_block(const Device* device) {
    switch (device->major * 10 + device->minor) {
    case 75:
        return 64 << 10;
    case 80:
    case 87:
        return 163 << 10;
    case 90:
    case 100:
        return 227 << 10;
    default:
        return 99 << 10;
    }
}

static int loses_context(CUresult result) {
    switch (result) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_CONTEXT_IS_DESTROYED:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
        return 1;
    default:
        return 0;
    }
}

static CUresult fault(const char* function) {
    CUresult result = CUDA_SUCCESS;
    for (int i = 0; i < fault_count; i++) {
        Fault* f = &faults[i];
        if (strcmp(f->function, function) == 0) {
            f->seen++;
            if (result == CUDA_SUCCESS && (f->call == 0 || f->seen == f->call)) {
                f->fired++;
                result = f->result;
            }
        }
    }
    return result;
}

static void log_call(const char* function) {
    if (call_count < MAX_LOG) call_log[call_count] = function;
    call_count++;
}

// Enters a function that needs no context; the lock is held until LEAVE.
#define ENTER_PLAIN                                    \
    pthread_mutex_lock(&mutex);                        \
    log_call(__func__);                                \
    {                                                  \
        CUresult injected = fault(__func__);           \
        if (injected != CUDA_SUCCESS) LEAVE(injected); \
    }                                                  \
    if (!initialised) LEAVE(CUDA_ERROR_NOT_INITIALIZED)

// Enters a function that works in the current context, whose device is then `device`.
#define ENTER                                                                                         \
    pthread_mutex_lock(&mutex);                                                                       \
    log_call(__func__);                                                                               \
    if (!initialised) LEAVE(CUDA_ERROR_NOT_INITIALIZED);                                              \
    if (current == NULL || devices[current->device].retained == 0) LEAVE(CUDA_ERROR_INVALID_CONTEXT); \
    Device* device = &devices[current->device];                                                       \
    if (device->lost != CUDA_SUCCESS) LEAVE(device->lost);                                            \
    {                                                                                                 \
        CUresult injected = fault(__func__);                                                          \
        if (loses_context(injected)) device->lost = injected;                                         \
        if (injected != CUDA_SUCCESS) LEAVE(injected);                                                \
    }                                                                                                 \
    (void)device

#define LEAVE(result)                 \
    do {                              \
        CUresult left = (result);     \
        pthread_mutex_unlock(&mutex); \
        return left;                  \
    } while (0)

// ---- work

static void append(Work*** end, Work work) {
    Work* added = malloc(sizeof *added);
    *added = work;
    added->next = NULL;
    added->device = current->device;
    **end = added;
    *end = &added->next;
}

static struct Graph* capture_of(CUstream stream) { return (uint64_t)stream > 2 ? stream->capture : NULL; }

static void queue(CUstream stream, Work work) {
    struct Graph* graph = capture_of(stream);
    if (graph != NULL) {
        append(&graph->end, work);
        return;
    }
    if (work.kind == RUN) launches[launch_count++ % MAX_LAUNCHES] = work.launch;
    append(&end_of_work, work);
}

static int captures(void) { return captured != NULL && captured->alive && captured->capture != NULL; }

// Whether this thread captures a stream: the capture is then invalid, as what it called must not be in it.
static int breaks_capture(void) {
    if (!captures()) return 0;
    captured->invalid = 1;
    return 1;
}

#define NOT_CAPTURED \
    if (breaks_capture()) LEAVE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)

// Does what is queued, all of it: whoever waits for one stream may find others further than they need be.
static void settle(void) {
    while (first_work != NULL) {
        Work* work = first_work;
        first_work = work->next;
        if (devices[work->device].lost == CUDA_SUCCESS) {
            if (work->kind == FILL) memset(work->to, work->value, work->size);
            if (work->kind == COPY) memmove(work->to, work->from, work->size);
            if (work->kind == RUN && kernels != NULL) kernels(&work->launch);
        }
        free(work);
    }
    end_of_work = &first_work;
}

// ---- memory

static unsigned char* start(Block* block) { return block->base + GUARD; }

// The block that holds the byte at this address.
static Block* block_of(uint64_t address) {
    for (Block* b = blocks; b != NULL; b = b->next) {
        uint64_t first = (uint64_t)start(b);
        if (address >= first && (address < first + b->size || (b->size == 0 && address == first))) return b;
    }
    return NULL;
}

static int holds(uint64_t address, size_t size, int pinned) {
    Block* b = block_of(address);
    return size == 0 || (b != NULL && b->pinned == pinned && size <= (uint64_t)start(b) + b->size - address);
}

static Block* new_block(size_t size, int device, int pinned) {
    Block* block = malloc(sizeof *block);
    unsigned char* base = NULL;
    if (block == NULL || posix_memalign((void**)&base, GUARD, size + 2 * GUARD) != 0) {
        free(block);
        return NULL;
    }
    memset(base, GUARD_BYTE, GUARD);
    memset(base + GUARD, FRESH_BYTE, size);
    memset(base + GUARD + size, GUARD_BYTE, GUARD);
    *block = (Block){base, size, device, pinned, blocks};
    blocks = block;
    if (!pinned) devices[device].used += size;
    return block;
}

static void check_guards(Block* block) {
    for (int i = 0; i < GUARD; i++) {
        if (block->base[i] != GUARD_BYTE || block->base[GUARD + block->size + i] != GUARD_BYTE) {
            violation("guard of a block of %zu bytes is overwritten", block->size);
            return;
        }
    }
}

static void free_block(Block* block) {
    check_guards(block);
    for (Block** at = &blocks; *at != NULL; at = &(*at)->next) {
        if (*at == block) {
            *at = block->next;
            break;
        }
    }
    if (!block->pinned) devices[block->device].used -= block->size;
    memset(start(block), FREED_BYTE, block->size);
    free(block->base);
    free(block);
}

CUresult cuMemAlloc_v2(CUdeviceptr* pointer, size_t size) {
    ENTER;
    NOT_CAPTURED;
    if (pointer == NULL || size == 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (size > device->memory - device->used) LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
    Block* block = new_block(size, current->device, 0);
    if (block == NULL) LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
    *pointer = (CUdeviceptr)start(block);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
    ENTER;
    NOT_CAPTURED;
    settle();
    Block* block = block_of(pointer);
    if (block == NULL || block->pinned || (CUdeviceptr)start(block) != pointer) {
        violation("cuMemFree of 0x%llx, which is no block", (unsigned long long)pointer);
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    }
    free_block(block);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemGetInfo_v2(size_t* unused, size_t* total) {
    ENTER;
    *unused = device->memory - device->used;
    *total = device->memory;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemHostAlloc(void** pointer, size_t size, unsigned flags) {
    ENTER;
    NOT_CAPTURED;
    (void)flags;
    if (pointer == NULL || size == 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    Block* block = new_block(size, current->device, 1);
    if (block == NULL) LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
    *pointer = start(block);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemFreeHost(void* pointer) {
    ENTER;
    NOT_CAPTURED;
    settle();
    Block* block = block_of((uint64_t)pointer);
    if (block == NULL || !block->pinned || start(block) != pointer) {
        violation("cuMemFreeHost of %p, which is no block", pointer);
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    }
    free_block(block);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuPointerGetAttribute(void* data, int attribute, CUdeviceptr pointer) {
    ENTER;
    Block* block = block_of(pointer);
    if (block == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        *(CUcontext*)data = &contexts[block->device];
        LEAVE(CUDA_SUCCESS);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned*)data = block->pinned ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        LEAVE(CUDA_SUCCESS);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        *(int*)data = block->device;
        LEAVE(CUDA_SUCCESS);
    default:
        LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    }
}

// ---- devices and contexts

CUresult cuInit(unsigned flags) {
    pthread_mutex_lock(&mutex);
    log_call(__func__);
    CUresult injected = fault(__func__);
    if (injected != CUDA_SUCCESS) LEAVE(injected);
    if (flags != 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device_count == 0) LEAVE(CUDA_ERROR_NO_DEVICE);
    initialised = 1;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDriverGetVersion(int* version) {
    pthread_mutex_lock(&mutex);
    log_call(__func__);
    CUresult injected = fault(__func__);
    if (injected != CUDA_SUCCESS) LEAVE(injected);
    *version = driver_version;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetCount(int* count) {
    ENTER_PLAIN;
    *count = device_count;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGet(CUdevice* handle, int ordinal) {
    ENTER_PLAIN;
    if (ordinal < 0 || ordinal >= device_count) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *handle = ordinal;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetName(char* name, int length, CUdevice handle) {
    ENTER_PLAIN;
    if (handle < 0 || handle >= device_count) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    snprintf(name, (size_t)length, "%s", devices[handle].name);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice handle) {
    ENTER_PLAIN;
    if (handle < 0 || handle >= device_count) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *bytes = devices[handle].memory;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetAttribute(int* value, int attribute, CUdevice handle) {
    ENTER_PLAIN;
    if (handle < 0 || handle >= device_count) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
        *value = devices[handle].multiprocessors;
        LEAVE(CUDA_SUCCESS);
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
        *value = devices[handle].major;
        LEAVE(CUDA_SUCCESS);
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
        *value = devices[handle].minor;
        LEAVE(CUDA_SUCCESS);
    case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH:
        *value = resident_blocks >= 0;
        LEAVE(CUDA_SUCCESS);
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
        *value = shared_per_block(&devices[handle]);
        LEAVE(CUDA_SUCCESS);
    default:
        LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    }
}

CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice handle) {
    ENTER_PLAIN;
    if (handle < 0 || handle >= device_count) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    if (devices[handle].lost != CUDA_SUCCESS) LEAVE(devices[handle].lost);
    devices[handle].retained++;
    *context = &contexts[handle];
    LEAVE(CUDA_SUCCESS);
}

// The context goes with its last user, and all that is in it; what was still there counts as leaked.
static void destroy_context(int handle) {
    settle();
    for (Block *b = blocks, *next; b != NULL; b = next) {
        next = b->next;
        if (b->device == handle) {
            if (devices[handle].lost == CUDA_SUCCESS) {
                violation("leaked: a %s block of %zu bytes", b->pinned ? "pinned" : "device", b->size);
            }
            free_block(b);
        }
    }
    for (struct Module* m = modules; m != NULL; m = m->next) {
        if (m->device == handle && m->alive) {
            if (devices[handle].lost == CUDA_SUCCESS) violation("leaked: a module");
            m->alive = 0;
        }
    }
    for (struct StreamHandle* s = streams; s != NULL; s = s->next) {
        if (s->device == handle && s->alive) {
            if (devices[handle].lost == CUDA_SUCCESS) violation("leaked: a stream");
            s->alive = 0;
        }
    }
    for (struct Event* e = events; e != NULL; e = e->next) {
        if (e->device == handle && e->alive) {
            if (devices[handle].lost == CUDA_SUCCESS) violation("leaked: an event");
            e->alive = 0;
        }
    }
    for (struct Graph* g = graphs; g != NULL; g = g->next) {
        if (g->device == handle && g->alive) {
            if (devices[handle].lost == CUDA_SUCCESS) violation("leaked: a graph");
            g->alive = 0;
        }
    }
    devices[handle].lost = CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice handle) {
    ENTER_PLAIN;
    if (handle < 0 || handle >= device_count) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    if (devices[handle].retained == 0) {
        violation("cuDevicePrimaryCtxRelease of a context that nobody retains");
        LEAVE(CUDA_ERROR_INVALID_CONTEXT);
    }
    if (--devices[handle].retained == 0) destroy_context(handle);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuCtxSetCurrent(CUcontext context) {
    if (!recording) {
        current = context;
        return CUDA_SUCCESS;
    }
    pthread_mutex_lock(&mutex);
    log_call(__func__);
    if (!initialised) LEAVE(CUDA_ERROR_NOT_INITIALIZED);
    CUresult injected = fault(__func__);
    if (context != NULL) {
        if (context < contexts || context >= contexts + MAX_DEVICES) LEAVE(CUDA_ERROR_INVALID_CONTEXT);
        Device* device = &devices[context->device];
        if (device->retained == 0) LEAVE(CUDA_ERROR_INVALID_CONTEXT);
        if (device->lost != CUDA_SUCCESS) LEAVE(device->lost);
        if (loses_context(injected)) device->lost = injected;
    }
    if (injected != CUDA_SUCCESS) LEAVE(injected);
    current = context;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuCtxGetCurrent(CUcontext* context) {
    ENTER_PLAIN;
    *context = current;
    LEAVE(CUDA_SUCCESS);
}

// ---- modules

// Copies the word at *text and moves past it.
static void word(const char** text, char* into, size_t size) {
    size_t n = 0;
    while (**text == ' ' || **text == '\t' || **text == '\n' || **text == '\r') (*text)++;
    while (**text != 0 && strchr(" \t\n\r(){}[],;:", **text) == NULL) {
        if (n + 1 < size) into[n++] = **text;
        (*text)++;
    }
    into[n] = 0;
}

static uint32_t type_bytes(const char* type) {
    size_t length = strlen(type);
    if (length < 3) return 0;
    if (strcmp(type + length - 2, "64") == 0) return 8;
    if (strcmp(type + length - 2, "32") == 0) return 4;
    if (strcmp(type + length - 2, "16") == 0) return 2;
    return type[length - 1] == '8' ? 1 : 0;
}

// Reads an entry's name, parameters and the directives before its body; *text is past ".entry".
static struct Function* read_entry(const char** text) {
    struct Function* function = calloc(1, sizeof *function);
    char token[128];
    word(text, function->name, sizeof function->name);
    function->max_threads = 1024;
    const char* body = strchr(*text, '{');
    const char* at = *text;
    while (body != NULL && (at = strchr(at, '.')) != NULL && at < body) {
        word(&at, token, sizeof token);
        if (strcmp(token, ".param") == 0 && function->parameters < MAX_PARAMETERS) {
            uint32_t bytes = 0;
            word(&at, token, sizeof token);
            if (strcmp(token, ".align") == 0) {
                word(&at, token, sizeof token);
                word(&at, token, sizeof token);
            }
            bytes = type_bytes(token);
            word(&at, token, sizeof token); // its name
            if (*at == '[') bytes *= (uint32_t)strtoul(at + 1, NULL, 10);
            function->parameter_bytes[function->parameters++] = bytes;
        } else if (strcmp(token, ".maxntid") == 0 || strcmp(token, ".reqntid") == 0) {
            uint32_t threads = 1;
            do {
                at += *at == ',';
                word(&at, token, sizeof token);
                threads *= (uint32_t)strtoul(token, NULL, 10);
            } while (*at == ',');
            function->max_threads = threads;
        }
    }
    if (body != NULL) *text = body;
    return function;
}

static void* jit_option(int option, unsigned count, const int* options, void** values) {
    for (unsigned i = 0; i < count; i++) {
        if (options[i] == option) return values[i];
    }
    return NULL;
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned option_count, int* options, void** values) {
    ENTER;
    NOT_CAPTURED;
    char message[128] = "";
    CUresult result = CUDA_SUCCESS;
    const char* text = image;
    const char* version = text == NULL ? NULL : strstr(text, ".version");
    struct Module* loaded = NULL;
    if (version == NULL || strstr(text, ".target") == NULL) {
        snprintf(message, sizeof message, "ptxas fatal   : no .version or no .target");
        result = CUDA_ERROR_INVALID_PTX;
    } else {
        unsigned isa_major = 0, isa_minor = 0;
        sscanf(version, ".version %u.%u", &isa_major, &isa_minor);
        // The newest ISA that a driver of CUDA 11.x, 12.x, 13.x reads.
        unsigned newest = driver_version >= 13000   ? 90 + (unsigned)(driver_version - 13000) / 10
                          : driver_version >= 12000 ? 80 + (unsigned)(driver_version - 12000) / 10
                                                    : 70 + (unsigned)(driver_version - 11000) / 10;
        unsigned target = 0;
        sscanf(strstr(text, ".target"), ".target sm_%u", &target);
        if (isa_major * 10 + isa_minor > newest) {
            snprintf(message, sizeof message,
                     "ptxas application ptx input, line 1; fatal   : Unsupported .version %u.%u", isa_major, isa_minor);
            result = CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
        } else if (target > (unsigned)(device->major * 10 + device->minor)) {
            snprintf(message, sizeof message, "ptxas fatal   : .target sm_%u is newer than the device", target);
            result = CUDA_ERROR_INVALID_PTX;
        }
    }
    if (result == CUDA_SUCCESS) {
        loaded = calloc(1, sizeof *loaded);
        loaded->device = current->device;
        loaded->alive = 1;
        while ((text = strstr(text, ".entry")) != NULL) {
            text += strlen(".entry");
            struct Function* function = read_entry(&text);
            function->module = loaded;
            function->next = loaded->functions;
            loaded->functions = function;
        }
        loaded->next = modules;
        modules = loaded;
        *module = loaded;
    } else {
        char* log = jit_option(CU_JIT_ERROR_LOG_BUFFER, option_count, options, values);
        size_t size =
            (size_t)jit_option(CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, option_count, options, values) & 0xffffffff;
        if (log != NULL && size > 0) snprintf(log, size, "%s", message);
    }
    LEAVE(result);
}

static int is_module(CUmodule module) {
    for (struct Module* m = modules; m != NULL; m = m->next) {
        if (m == module) return m->alive;
    }
    return 0;
}

// Functions stay readable after their module is gone, so that a launch of one is a violation and no crash.
CUresult cuModuleUnload(CUmodule module) {
    ENTER;
    NOT_CAPTURED;
    if (!is_module(module)) {
        violation("cuModuleUnload of no module");
        LEAVE(CUDA_ERROR_INVALID_HANDLE);
    }
    module->alive = 0;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
    ENTER;
    if (!is_module(module)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    for (struct Function* f = module->functions; f != NULL; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            *function = f;
            LEAVE(CUDA_SUCCESS);
        }
    }
    LEAVE(CUDA_ERROR_NOT_FOUND);
}

CUresult cuFuncGetAttribute(int* value, int attribute, CUfunction function) {
    ENTER;
    if (function == NULL || !is_module(function->module)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
        *value = (int)function->max_threads;
        LEAVE(CUDA_SUCCESS);
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
        *value = (int)(function->max_shared == 0 ? 48 * 1024 : function->max_shared);
        LEAVE(CUDA_SUCCESS);
    default:
        LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    }
}

CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    ENTER;
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    if (function == NULL || !is_module(function->module)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (value < 0 || value > shared_per_block(device)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    function->max_shared = (uint32_t)value;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks_at_once, CUfunction function, int threads,
                                                     size_t shared) {
    ENTER;
    if (function == NULL || !is_module(function->module)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (threads < 1 || shared > (size_t)shared_per_block(device)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *blocks_at_once = (unsigned)threads > function->max_threads || resident_blocks < 0 ? 0 : resident_blocks;
    LEAVE(CUDA_SUCCESS);
}

// ---- streams and events

static int is_stream(CUstream stream) {
    if ((uint64_t)stream <= 2) return 1; // default, legacy and per-thread streams
    for (struct StreamHandle* s = streams; s != NULL; s = s->next) {
        if (s == stream) return s->alive && s->device == current->device;
    }
    return 0;
}

static int is_event(CUevent event) {
    for (struct Event* e = events; e != NULL; e = e->next) {
        if (e == event) return e->alive;
    }
    return 0;
}

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
    ENTER;
    if (flags > 1) LEAVE(CUDA_ERROR_INVALID_VALUE);
    struct StreamHandle* made = calloc(1, sizeof *made);
    *made = (struct StreamHandle){.device = current->device, .alive = 1, .next = streams};
    streams = made;
    *stream = made;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    ENTER;
    if (stream == NULL || !is_stream(stream)) {
        violation("cuStreamDestroy of no stream");
        LEAVE(CUDA_ERROR_INVALID_HANDLE);
    }
    stream->alive = 0;
    if (stream->capture != NULL) stream->capture->alive = 0;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamSynchronize(CUstream stream) {
    ENTER;
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    NOT_CAPTURED;
    settle();
    LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamQuery(CUstream stream) {
    ENTER;
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    LEAVE(first_work == NULL ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY);
}

// Unlike the other functions it also knows streams of devices that are not current.
CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
    ENTER;
    for (struct StreamHandle* s = streams; s != NULL; s = s->next) {
        if (s == stream && s->alive) {
            *context = &contexts[s->device];
            LEAVE(CUDA_SUCCESS);
        }
    }
    if ((uint64_t)stream > 2) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    *context = current;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    ENTER;
    LEAVE(flags == 0 && is_stream(stream) && is_event(event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE);
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
    ENTER;
    (void)flags;
    struct Event* made = calloc(1, sizeof *made);
    made->device = current->device;
    made->alive = 1;
    made->next = events;
    events = made;
    *event = made;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuEventDestroy_v2(CUevent event) {
    ENTER;
    if (!is_event(event)) {
        violation("cuEventDestroy of no event");
        LEAVE(CUDA_ERROR_INVALID_HANDLE);
    }
    event->alive = 0;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    ENTER;
    if (!is_event(event) || !is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (capture_of(stream) != NULL) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->recorded = 1;
    event->milliseconds = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuEventSynchronize(CUevent event) {
    ENTER;
    if (!is_event(event)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    settle();
    LEAVE(CUDA_SUCCESS);
}

CUresult cuEventQuery(CUevent event) {
    ENTER;
    if (!is_event(event)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    LEAVE(first_work == NULL ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY);
}

CUresult cuEventElapsedTime(float* milliseconds, CUevent from, CUevent to) {
    ENTER;
    if (!is_event(from) || !is_event(to) || !from->recorded || !to->recorded) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    *milliseconds = (float)(to->milliseconds - from->milliseconds);
    LEAVE(CUDA_SUCCESS);
}

// ---- graphs

// Modes are not told apart: what the capturing thread must not do in the strictest one breaks every capture.
CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    ENTER;
    if (mode < 0 || mode > 2) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if ((uint64_t)stream <= 2) LEAVE(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (stream->capture != NULL || captures()) LEAVE(CUDA_ERROR_ILLEGAL_STATE);
    struct Graph* graph = calloc(1, sizeof *graph);
    *graph = (struct Graph){.device = current->device, .alive = 1, .end = &graph->first, .next = graphs};
    graphs = graph;
    stream->capture = graph;
    stream->invalid = 0;
    captured = stream;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
    ENTER;
    *graph = NULL;
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (captured != stream || capture_of(stream) == NULL) LEAVE(CUDA_ERROR_ILLEGAL_STATE);
    struct Graph* made = stream->capture;
    stream->capture = NULL;
    captured = NULL;
    if (stream->invalid) {
        made->alive = 0;
        LEAVE(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    }
    *graph = made;
    LEAVE(CUDA_SUCCESS);
}

static int is_graph(struct Graph* graph, int executable) {
    for (struct Graph* g = graphs; g != NULL; g = g->next) {
        if (g == graph) return g->alive && g->executable == executable;
    }
    return 0;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long flags) {
    ENTER;
    if (flags != 0) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    if (!is_graph(graph, 0)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    struct Graph* made = calloc(1, sizeof *made);
    *made = (struct Graph){.device = graph->device, .alive = 1, .executable = 1, .end = &made->first, .next = graphs};
    for (Work* work = graph->first; work != NULL; work = work->next) append(&made->end, *work);
    graphs = made;
    *executable = made;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    if (!recording) return CUDA_SUCCESS;
    ENTER;
    if (!is_graph(executable, 1) || !is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (capture_of(stream) != NULL) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    for (Work* work = executable->first; work != NULL; work = work->next) queue(stream, *work);
    LEAVE(CUDA_SUCCESS);
}

static CUresult destroy_graph(struct Graph* graph, int executable) {
    if (!is_graph(graph, executable)) {
        violation("a graph destroyed that is none");
        return CUDA_ERROR_INVALID_HANDLE;
    }
    graph->alive = 0;
    return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) {
    ENTER;
    LEAVE(destroy_graph(graph, 0));
}

CUresult cuGraphExecDestroy(CUgraphExec executable) {
    ENTER;
    LEAVE(destroy_graph(executable, 1));
}

// ---- copies

static int is_device(const char* function, CUdeviceptr pointer, size_t size) {
    if (holds(pointer, size, 0)) return 1;
    violation("%s of %zu bytes out of bounds", function, size);
    return 0;
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t size, CUstream stream) {
    ENTER;
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (!is_device(__func__, to, size)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    queue(stream, (Work){.kind = FILL, .to = (unsigned char*)to, .value = value, .size = size});
    LEAVE(CUDA_SUCCESS);
}

// As on a device, memory that is not pinned is read before the call returns.
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t size, CUstream stream) {
    ENTER;
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (!is_device(__func__, to, size)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    queue(stream, (Work){.kind = COPY, .to = (unsigned char*)to, .from = from, .size = size});
    if (!holds((uint64_t)from, size, 1)) {
        NOT_CAPTURED;
        settle();
    }
    LEAVE(CUDA_SUCCESS);
}

// As on a device, memory that is not pinned is written before the call returns.
CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t size, CUstream stream) {
    ENTER;
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (!is_device(__func__, from, size)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    queue(stream, (Work){.kind = COPY, .to = to, .from = (const unsigned char*)from, .size = size});
    if (!holds((uint64_t)to, size, 1)) {
        NOT_CAPTURED;
        settle();
    }
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) {
    ENTER;
    if (!is_stream(stream)) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (!is_device(__func__, to, size) || !is_device(__func__, from, size)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    queue(stream, (Work){.kind = COPY, .to = (unsigned char*)to, .from = (const unsigned char*)from, .size = size});
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t size) {
    ENTER;
    NOT_CAPTURED;
    if (!is_device(__func__, to, size)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    settle();
    memcpy((void*)to, from, size);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t size) {
    ENTER;
    NOT_CAPTURED;
    if (!is_device(__func__, from, size)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    settle();
    memcpy(to, (const void*)from, size);
    LEAVE(CUDA_SUCCESS);
}

// ---- launches

static CUresult launch(CUfunction function, const unsigned grid[3], const unsigned block[3], unsigned shared,
                       CUstream stream, void** parameters, int cooperative) {
    if (function == NULL || !is_module(function->module)) {
        violation("launch of a function whose module is not loaded");
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!is_stream(stream)) return CUDA_ERROR_INVALID_HANDLE;
    uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
    if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0 || threads == 0 || grid[0] > 0x7fffffff || grid[1] > 65535 ||
        grid[2] > 65535 || block[2] > 64 || threads > function->max_threads ||
        shared > (function->max_shared == 0 ? 48 * 1024 : function->max_shared)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (parameters == NULL && function->parameters > 0) return CUDA_ERROR_INVALID_VALUE;
    if (cooperative) {
        if (resident_blocks < 0) return CUDA_ERROR_NOT_SUPPORTED;
        uint64_t at_once = (uint64_t)resident_blocks * (uint64_t)devices[current->device].multiprocessors;
        if ((uint64_t)grid[0] * grid[1] * grid[2] > at_once) return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
    }
    Launch given = {0}, *entry = &given;
    memcpy(entry->function, function->name, sizeof entry->function);
    memcpy(entry->grid, grid, sizeof entry->grid);
    memcpy(entry->block, block, sizeof entry->block);
    entry->shared = shared;
    entry->cooperative = (uint32_t)cooperative;
    entry->stream = (uint64_t)stream;
    entry->device = (uint32_t)current->device;
    for (uint32_t i = 0; i < function->parameters; i++) {
        uint32_t bytes = function->parameter_bytes[i];
        if (parameters[i] == NULL || entry->argument_bytes + bytes > MAX_ARGUMENTS) return CUDA_ERROR_INVALID_VALUE;
        memcpy(entry->arguments + entry->argument_bytes, parameters[i], bytes);
        entry->argument_bytes += bytes;
    }
    queue(stream, (Work){.kind = RUN, .launch = given});
    return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void** parameters,
                        void** extra) {
    if (!recording) return CUDA_SUCCESS;
    ENTER;
    if (extra != NULL) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    LEAVE(launch(function, (unsigned[]){grid_x, grid_y, grid_z}, (unsigned[]){block_x, block_y, block_z}, shared,
                 stream, parameters, 0));
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                   CUstream stream, void** parameters) {
    if (!recording) return CUDA_SUCCESS;
    ENTER;
    LEAVE(launch(function, (unsigned[]){grid_x, grid_y, grid_z}, (unsigned[]){block_x, block_y, block_z}, shared,
                 stream, parameters, 1));
}

// ---- names of errors

static const char* error_name(CUresult result) {
    switch (result) {
#define ERROR(name) \
    case name:      \
        return #name;
        ERROR(CUDA_SUCCESS)
        ERROR(CUDA_ERROR_INVALID_VALUE)
        ERROR(CUDA_ERROR_OUT_OF_MEMORY)
        ERROR(CUDA_ERROR_NOT_INITIALIZED)
        ERROR(CUDA_ERROR_NO_DEVICE)
        ERROR(CUDA_ERROR_INVALID_DEVICE)
        ERROR(CUDA_ERROR_INVALID_IMAGE)
        ERROR(CUDA_ERROR_INVALID_CONTEXT)
        ERROR(CUDA_ERROR_ECC_UNCORRECTABLE)
        ERROR(CUDA_ERROR_INVALID_PTX)
        ERROR(CUDA_ERROR_NVLINK_UNCORRECTABLE)
        ERROR(CUDA_ERROR_UNSUPPORTED_PTX_VERSION)
        ERROR(CUDA_ERROR_INVALID_HANDLE)
        ERROR(CUDA_ERROR_ILLEGAL_STATE)
        ERROR(CUDA_ERROR_NOT_FOUND)
        ERROR(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE)
        ERROR(CUDA_ERROR_NOT_READY)
        ERROR(CUDA_ERROR_ILLEGAL_ADDRESS)
        ERROR(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)
        ERROR(CUDA_ERROR_LAUNCH_TIMEOUT)
        ERROR(CUDA_ERROR_CONTEXT_IS_DESTROYED)
        ERROR(CUDA_ERROR_ASSERT)
        ERROR(CUDA_ERROR_HARDWARE_STACK_ERROR)
        ERROR(CUDA_ERROR_ILLEGAL_INSTRUCTION)
        ERROR(CUDA_ERROR_MISALIGNED_ADDRESS)
        ERROR(CUDA_ERROR_INVALID_ADDRESS_SPACE)
        ERROR(CUDA_ERROR_INVALID_PC)
        ERROR(CUDA_ERROR_LAUNCH_FAILED)
        ERROR(CUDA_ERROR_NOT_SUPPORTED)
        ERROR(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
        ERROR(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
        ERROR(CUDA_ERROR_UNKNOWN)
#undef ERROR
    default:
        return NULL;
    }
}

CUresult cuGetErrorName(CUresult result, const char** name) {
    *name = error_name(result);
    return *name == NULL ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult result, const char** text) { return cuGetErrorName(result, text); }

CUresult driver_unsupported(const char* function) {
    pthread_mutex_lock(&mutex);
    log_call(function);
    if (unsupported_count < MAX_LOG) unsupported[unsupported_count] = function;
    unsupported_count++;
    LEAVE(CUDA_ERROR_NOT_SUPPORTED);
}

// ---- the control side

// Forgets launches, calls, faults and violations, and makes every device the default one again. What lives, lives on.
void recorder_reset(void) {
    pthread_mutex_lock(&mutex);
    settle();
    launch_count = call_count = violation_count = unsupported_count = 0;
    fault_count = 0;
    kernels = NULL;
    device_count = 1;
    resident_blocks = 2;
    driver_version = 12060;
    recording = 1;
    for (int i = 0; i < MAX_DEVICES; i++) {
        devices[i].major = 8;
        devices[i].minor = 0;
        devices[i].multiprocessors = 108;
        devices[i].memory = (size_t)1 << 30;
    }
    pthread_mutex_unlock(&mutex);
}

// What runs in place of a kernel, when its turn comes; it must not call the driver.
void recorder_set_kernels(void (*run)(const Launch*)) { kernels = run; }

void recorder_set_driver_version(int version) { driver_version = version; }

void recorder_set_device_count(int count) {
    device_count = count;
    if (count == 0) initialised = 0;
}

void recorder_set_device(int ordinal, int major, int minor, int multiprocessors, uint64_t memory) {
    devices[ordinal].major = major;
    devices[ordinal].minor = minor;
    devices[ordinal].multiprocessors = multiprocessors;
    devices[ordinal].memory = memory;
}

// 0: launches return at once and leave no trace, to time the caller.
void recorder_set_resident_blocks(int count) { resident_blocks = count; }

void recorder_set_recording(int on) { recording = on; }

// The call-th call of a function from now on (0: each) returns this result.
int recorder_fail(const char* function, long call, CUresult result) {
    pthread_mutex_lock(&mutex);
    if (fault_count == MAX_FAULTS) LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
    Fault* f = &faults[fault_count++];
    memset(f, 0, sizeof *f);
    snprintf(f->function, sizeof f->function, "%s", function);
    f->call = call;
    f->result = result;
    LEAVE(CUDA_SUCCESS);
}

void recorder_clear_faults(void) { fault_count = 0; }

// How many of the faults asked for have fired.
long recorder_faults_fired(void) {
    long fired = 0;
    for (int i = 0; i < fault_count; i++) fired += faults[i].fired != 0;
    return fired;
}

long recorder_launch_count(void) { return launch_count; }

const Launch* recorder_launch(long index) {
    return index < 0 || index >= launch_count || index < launch_count - MAX_LAUNCHES ? NULL
                                                                                     : &launches[index % MAX_LAUNCHES];
}

void recorder_clear_log(void) { call_count = launch_count = 0; }

long recorder_call_count(void) { return call_count < MAX_LOG ? call_count : MAX_LOG; }

const char* recorder_call(long index) { return call_log[index]; }

long recorder_violation_count(void) { return violation_count; }

const char* recorder_violation(long index) {
    return index < violation_count && index < MAX_VIOLATIONS ? violations[index] : "";
}

long recorder_unsupported_count(void) { return unsupported_count; }

const char* recorder_unsupported(long index) { return unsupported[index]; }

// Does what is queued, for a test that looks into device memory.
void recorder_settle(void) {
    pthread_mutex_lock(&mutex);
    settle();
    pthread_mutex_unlock(&mutex);
}

// The bytes from an address of device memory to the end of its block; -1 where there is no block.
long recorder_bytes_from(uint64_t address) {
    pthread_mutex_lock(&mutex);
    Block* block = block_of(address);
    long bytes = block == NULL || block->pinned ? -1 : (long)((uint64_t)start(block) + block->size - address);
    pthread_mutex_unlock(&mutex);
    return bytes;
}

// What lives: "device", "pinned", "module", "stream", "event", "graph", "context"; -1 for another word.
long recorder_live(const char* kind) {
    long live = 0;
    pthread_mutex_lock(&mutex);
    if (strcmp(kind, "device") == 0 || strcmp(kind, "pinned") == 0) {
        for (Block* b = blocks; b != NULL; b = b->next) live += b->pinned == (kind[0] == 'p');
    } else if (strcmp(kind, "module") == 0) {
        for (struct Module* m = modules; m != NULL; m = m->next) live += m->alive;
    } else if (strcmp(kind, "stream") == 0) {
        for (struct StreamHandle* s = streams; s != NULL; s = s->next) live += s->alive;
    } else if (strcmp(kind, "event") == 0) {
        for (struct Event* e = events; e != NULL; e = e->next) live += e->alive;
    } else if (strcmp(kind, "graph") == 0) {
        for (struct Graph* g = graphs; g != NULL; g = g->next) live += g->alive;
    } else if (strcmp(kind, "context") == 0) {
        for (int i = 0; i < MAX_DEVICES; i++) live += devices[i].retained;
    } else {
        live = -1;
    }
    pthread_mutex_unlock(&mutex);
    return live;
}
