#include "team.h"

#include <immintrin.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kMost = 64, kSpins = 20000 };

static struct {
    isobit_task task;
    void* context;
    int32_t parts;
} work;
static _Atomic int32_t generation;
static _Atomic int32_t running;
static int32_t members = 1;

static void await_change(_Atomic int32_t* word, int32_t from) {
    for (int spin = 0; spin < kSpins; spin++) {
        if (atomic_load_explicit(word, memory_order_acquire) != from) return;
        _mm_pause();
    }
    while (atomic_load_explicit(word, memory_order_acquire) == from) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, from, NULL, NULL, 0);
    }
}

static void* member(void* argument) {
    int64_t start = (intptr_t)argument;
    int32_t part = (int32_t)(start >> 32);
    for (int32_t done = (int32_t)start;; done++) {
        await_change(&generation, done);
        // A member whose part this task does not have only takes note of it.
        if (part < work.parts) work.task(work.context, part, work.parts);
        if (atomic_fetch_sub_explicit(&running, 1, memory_order_acq_rel) == 1) {
            syscall(SYS_futex, &running, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        }
    }
    return NULL;
}

void isobit_team_run(isobit_task task, void* context, int32_t parts) {
    if (parts <= 1) {
        task(context, 0, 1);
        return;
    }
    if (parts > kMost) parts = kMost;
    for (; members < parts; members++) {
        // A member is told its part and which tasks were before it.
        int64_t start = (int64_t)members << 32 | (uint32_t)atomic_load(&generation);
        pthread_t thread;
        if (pthread_create(&thread, NULL, member, (void*)(intptr_t)start) != 0) abort();
        pthread_detach(thread);
    }
    work.task = task;
    work.context = context;
    work.parts = parts;
    atomic_store_explicit(&running, members - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&generation, 1, memory_order_release);
    syscall(SYS_futex, &generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    task(context, 0, parts);
    for (int32_t left; (left = atomic_load_explicit(&running, memory_order_acquire)) > 0;) await_change(&running, left);
}
