/*
 * 128-bit access to rows that start anywhere.
 *
 * Such an access has P elements: four of float32, eight of 16 bits. A row starts `head` = 0..P-1 elements before a 16-byte
 * boundary. A group of T threads lays it over a circle of P·T·Q positions: thread t holds, in slot s, component c, the
 * position p = P·(t + T·s) + c, and in it element p + head of the row, or, for the last `head` positions of the circle, the row's first `head` elements. So every whole slot is one
 * aligned 128-bit access, whatever the row's start, and only the head and the tail are accessed one by one.
 *
 * Who holds an element changes with the alignment; the folds in lanes.cuh do not see it, since halving a circle of lanes
 * by adding the opposite lane is the same under any rotation.
 *
 * Between the asm comments "main-loop begin" and "main-loop end" there is no narrower access: build-ptx checks the PTX.
 */
#pragma once

#include "dtypes.cuh"

#include <stdint.h>

#define ISOBIT_MAIN_LOOP_BEGIN asm volatile("// main-loop begin" ::: "memory")
#define ISOBIT_MAIN_LOOP_END   asm volatile("// main-loop end" ::: "memory")

namespace isobit {

/* How many floats lie before the next 16-byte boundary. */
__device__ __forceinline__ int floats_to_boundary(const float* p) {
    return static_cast<int>((0u - static_cast<uint32_t>(reinterpret_cast<uintptr_t>(p) >> 2)) & 3u);
}

/* How many elements of a type lie before the next 16-byte boundary. */
template <typename T>
__device__ __forceinline__ int elements_to_boundary(const typename T::Stored* p) {
    constexpr uint32_t kSize = sizeof(typename T::Stored);
    return static_cast<int>((0u - static_cast<uint32_t>(reinterpret_cast<uintptr_t>(p) / kSize)) & (T::kPack - 1));
}

/* Written once and not read again by this launch: leaves the cache to what is. */
__device__ __forceinline__ void store_streaming(float* p, const float (&v)[4]) {
    __stcs(reinterpret_cast<float4*>(p), make_float4(v[0], v[1], v[2], v[3]));
}

/* Elements of one 128-bit access, from a 16-byte boundary on. */
__device__ __forceinline__ void load_pack(F32, const float* p, float (&v)[4]) {
    const float4 x = *reinterpret_cast<const float4*>(p);
    v[0] = x.x;
    v[1] = x.y;
    v[2] = x.z;
    v[3] = x.w;
}

template <typename T>
__device__ __forceinline__ void load_pack(T, const uint16_t* p, float (&v)[8]) {
    const uint4 x = *reinterpret_cast<const uint4*>(p);
    const uint32_t words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[2 * i] = T::widen(static_cast<uint16_t>(words[i]));
        v[2 * i + 1] = T::widen_upper(words[i]);
    }
}

__device__ __forceinline__ void store_pack(F32, float* p, const float (&v)[4]) {
    store_streaming(p, {F32::narrow(v[0]), F32::narrow(v[1]), F32::narrow(v[2]), F32::narrow(v[3])});
}

template <typename T>
__device__ __forceinline__ void store_pack(T, uint16_t* p, const float (&v)[8]) {
    __stcs(reinterpret_cast<uint4*>(p), make_uint4(T::narrow_pair(v[0], v[1]), T::narrow_pair(v[2], v[3]),
                                                   T::narrow_pair(v[4], v[5]), T::narrow_pair(v[6], v[7])));
}

/* Of a row of elements of type D, in registers as float32. */
template <typename D, int T, int Q>
struct Placement {
    using Stored = typename D::Stored;
    static constexpr int kPack = D::kPack;
    static constexpr int kStep = kPack * T;
    static constexpr int kPositions = kStep * Q;

    int head;   /* elements before the first boundary */
    int thread; /* in 0..T-1 */
    int first;  /* the element in slot 0, component 0 */

    __device__ __forceinline__ Placement(const Stored* row, int thread)
        : head(elements_to_boundary<D>(row)), thread(thread), first(head + kPack * thread) {}

    /* Whether a slot lies whole in a row of n elements. */
    __device__ __forceinline__ bool is_whole(int slot, int n) const { return first + kStep * slot + kPack - 1 < n; }

    /* Whether a slot can hold an element of a row of n; the same for all threads of the group. */
    __device__ __forceinline__ bool in_use(int slot, int n) const {
        return kStep * slot < n || (slot == Q - 1 && head > 0);
    }

    /* Whether this component of the last slot holds an element of the head. */
    __device__ __forceinline__ bool is_head(int component) const {
        return thread == T - 1 && component >= kPack - head;
    }

    /* The thread of the group that holds an element. */
    __device__ __forceinline__ int owner(int element) const {
        return (((element - head) & (kPositions - 1)) / kPack) & (T - 1);
    }

    /* How many elements, 0..P-1, of the last slot that a row of n elements begins here are this thread's alone. */
    __device__ __forceinline__ int tail_of(int n) const {
        int left = n - first;
        int tail = left & (kStep - 1);
        return left > 0 && tail < kPack ? tail : 0;
    }

    /* Reads a row of n elements; a position without an element gets `missing`. */
    __device__ __forceinline__ void load(const Stored* row, int n, float missing, float (&v)[Q][kPack]) const {
        const Stored* mine = row + first;
        ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll
        for (int s = 0; s < Q; s++) {
#pragma unroll
            for (int c = 0; c < kPack; c++) v[s][c] = missing;
            if (is_whole(s, n)) load_pack(D(), mine + kStep * s, v[s]);
        }
        ISOBIT_MAIN_LOOP_END;
        const int tail = tail_of(n);
        if (tail > 0) {
            const int slot = (n - first) / kStep;
            float x[kPack - 1];
#pragma unroll
            for (int c = 0; c < kPack - 1; c++) x[c] = c < tail ? D::widen(row[n - tail + c]) : missing;
#pragma unroll
            for (int s = 0; s < Q; s++) {
#pragma unroll
                for (int c = 0; c < kPack - 1; c++) v[s][c] = s == slot ? x[c] : v[s][c];
            }
        }
        if (thread == T - 1) {
#pragma unroll
            for (int c = 1; c < kPack; c++) {
                int e = c - (kPack - head);
                if (e >= 0 && e < n) v[Q - 1][c] = D::widen(row[e]);
            }
        }
    }

    /* Writes a row of n elements that may start at another distance from a boundary than the row of this placement:
     * then every element is written by itself. */
    __device__ __forceinline__ void store(Stored* row, int n, const float (&v)[Q][kPack]) const {
        Stored* mine = row + first;
        if (elements_to_boundary<D>(row) == head) {
            ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll
            for (int s = 0; s < Q; s++) {
                if (is_whole(s, n)) store_pack(D(), mine + kStep * s, v[s]);
            }
            ISOBIT_MAIN_LOOP_END;
        } else {
#pragma unroll
            for (int s = 0; s < Q; s++) {
                if (is_whole(s, n)) {
#pragma unroll
                    for (int c = 0; c < kPack; c++) mine[kStep * s + c] = D::narrow(v[s][c]);
                }
            }
        }
        const int tail = tail_of(n);
        if (tail > 0) {
            const int slot = (n - first) / kStep;
            float x[kPack - 1];
#pragma unroll
            for (int c = 0; c < kPack - 1; c++) x[c] = v[0][c];
#pragma unroll
            for (int s = 1; s < Q; s++) {
#pragma unroll
                for (int c = 0; c < kPack - 1; c++) x[c] = s == slot ? v[s][c] : x[c];
            }
#pragma unroll
            for (int c = 0; c < kPack - 1; c++) {
                if (c < tail) row[n - tail + c] = D::narrow(x[c]);
            }
        }
        if (thread == T - 1) {
#pragma unroll
            for (int c = 1; c < kPack; c++) {
                int e = c - (kPack - head);
                if (e >= 0 && e < n) row[e] = D::narrow(v[Q - 1][c]);
            }
        }
    }
};

/* T threads write one value to n elements. */
template <typename D, int T>
__device__ __forceinline__ void fill(typename D::Stored* row, int64_t n, float value, int thread) {
    int64_t head = elements_to_boundary<D>(row);
    if (head > n) head = n;
    int64_t whole = (n - head) / D::kPack;
    float v[D::kPack];
#pragma unroll
    for (int c = 0; c < D::kPack; c++) v[c] = value;
    ISOBIT_MAIN_LOOP_BEGIN;
#pragma unroll 4
    for (int64_t q = thread; q < whole; q += T) store_pack(D(), row + head + D::kPack * q, v);
    ISOBIT_MAIN_LOOP_END;
    if (thread < head) row[thread] = D::narrow(value);
    int64_t tail = head + D::kPack * whole + thread;
    if (tail < n) row[tail] = D::narrow(value);
}

} // namespace isobit
