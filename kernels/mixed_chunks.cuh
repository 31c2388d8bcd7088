/*
 * How an optimizer's update goes over tensors of several types, see chunks.cuh: a warp takes a chunk at a time, whose arrays
 * are F32, BF16 or F16 each. What is read is widened, the update is that of float32, what is written is rounded (dtypes.cuh).
 *
 * The types are in the chunk: every branch on them is taken by a whole warp. Eight elements at a time are one 128-bit access
 * of an array of 16 bits, two of float32.
 */
#pragma once

#include "chunks.cuh"
#include "guard.cuh"

namespace isobit {
namespace mixed {

constexpr int kPack = 8;

/* The type of an array of a chunk. */
__device__ __forceinline__ uint32_t dtype_of(uint32_t dtypes, int array) { return dtypes >> (4 * array) & 15u; }

/* How many elements lie before the next boundary: 16 bytes. */
__device__ __forceinline__ int head_of(uint32_t dtype, const void* array) {
    return dtype == DTYPE_F32 ? elements_to_boundary<F32>(static_cast<const float*>(array))
                              : elements_to_boundary<Bf16>(static_cast<const uint16_t*>(array));
}

__device__ __forceinline__ float load(uint32_t dtype, const void* array, int i) {
    if (dtype == DTYPE_F32) return chunks::load(static_cast<const float*>(array) + i);
    const uint16_t bits = chunks::load(static_cast<const uint16_t*>(array) + i);
    return dtype == DTYPE_BF16 ? Bf16::widen(bits) : F16::widen(bits);
}

__device__ __forceinline__ void store(uint32_t dtype, void* array, int i, float x) {
    if (dtype == DTYPE_F32) {
        chunks::store(static_cast<float*>(array) + i, x);
    } else {
        chunks::store(static_cast<uint16_t*>(array) + i, dtype == DTYPE_BF16 ? Bf16::narrow(x) : F16::narrow(x));
    }
}

/* Elements from a boundary on, as array a of the arrays of x. */
template <int kArrays>
__device__ __forceinline__ void load_pack(uint32_t dtype, const void* array, int i, int a, float (&x)[kPack][kArrays]) {
    if (dtype == DTYPE_F32) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const float4 v = chunks::load(reinterpret_cast<const float4*>(static_cast<const float*>(array) + i) + half);
            x[4 * half][a] = v.x;
            x[4 * half + 1][a] = v.y;
            x[4 * half + 2][a] = v.z;
            x[4 * half + 3][a] = v.w;
        }
        return;
    }
    const uint4 v = chunks::load(reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(array) + i));
    const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int w = 0; w < 4; w++) {
        const bool bf16 = dtype == DTYPE_BF16;
        x[2 * w][a] = bf16 ? Bf16::widen(static_cast<uint16_t>(words[w])) : F16::widen(static_cast<uint16_t>(words[w]));
        x[2 * w + 1][a] = bf16 ? Bf16::widen_upper(words[w]) : F16::widen_upper(words[w]);
    }
}

template <int kArrays>
__device__ __forceinline__ void store_pack(uint32_t dtype, void* array, int i, int a,
                                           const float (&x)[kPack][kArrays]) {
    if (dtype == DTYPE_F32) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            chunks::store(reinterpret_cast<float4*>(static_cast<float*>(array) + i) + half,
                          make_float4(x[4 * half][a], x[4 * half + 1][a], x[4 * half + 2][a], x[4 * half + 3][a]));
        }
        return;
    }
    uint32_t words[4];
#pragma unroll
    for (int w = 0; w < 4; w++) {
        words[w] = dtype == DTYPE_BF16 ? Bf16::narrow_pair(x[2 * w][a], x[2 * w + 1][a])
                                       : F16::narrow_pair(x[2 * w][a], x[2 * w + 1][a]);
    }
    chunks::store(reinterpret_cast<uint4*>(static_cast<uint16_t*>(array) + i),
                  make_uint4(words[0], words[1], words[2], words[3]));
}

/* A warp updates a chunk: elements before the boundary and behind the last pack one by one, all of them where the arrays have
 * no boundary in common. */
template <typename Op>
__device__ __forceinline__ void step_chunk(const typename Op::Group& group, void* const (&arrays)[Op::kArrays],
                                           uint32_t dtypes, int count, int lane) {
    constexpr int kArrays = Op::kArrays;
    int head = 0;
#pragma unroll
    for (int a = 0; a < kArrays; a++) {
        const int own = head_of(dtype_of(dtypes, a), arrays[a]);
        if (own > head) head = own;
    }
    bool packed = head <= count;
#pragma unroll
    for (int a = 0; a < kArrays; a++) {
        const uint32_t dtype = dtype_of(dtypes, a);
        const int pack = dtype == DTYPE_F32 ? F32::kPack : Bf16::kPack;
        packed = packed && head_of(dtype, arrays[a]) == (head & (pack - 1));
    }
    if (!packed) head = count;
    const int whole = (count - head) / kPack;
    ISOBIT_MAIN_LOOP_BEGIN;
    for (int q = lane; q < whole; q += chunks::kWarp) {
        const int i = head + kPack * q;
        float x[kPack][kArrays];
#pragma unroll
        for (int a = 0; a < kArrays; a++) load_pack(dtype_of(dtypes, a), arrays[a], i, a, x);
#pragma unroll
        for (int c = 0; c < kPack; c++) Op::update(group, x[c]);
#pragma unroll
        for (int a = 0; a < kArrays; a++) {
            if (a != chunks::kGrad || Op::writes_grad(group)) store_pack(dtype_of(dtypes, a), arrays[a], i, a, x);
        }
    }
    ISOBIT_MAIN_LOOP_END;
    const int rest = count - kPack * whole;
#pragma unroll 1
    for (int r = lane; r < rest; r += chunks::kWarp) {
        const int i = r < head ? r : kPack * whole + r;
        float x[kArrays];
#pragma unroll
        for (int a = 0; a < kArrays; a++) x[a] = load(dtype_of(dtypes, a), arrays[a], i);
        Op::update(group, x);
#pragma unroll
        for (int a = 0; a < kArrays; a++) {
            if (a != chunks::kGrad || Op::writes_grad(group)) store(dtype_of(dtypes, a), arrays[a], i, x[a]);
        }
    }
}

/* The same in a guarded step, which may leave the chunk as it is: guard::step_chunk. */
template <typename Op>
__device__ __forceinline__ void step_chunk_guarded(const guard_params& p, const guard_state& state,
                                                   const typename Op::Group& own, void* const (&arrays)[Op::kArrays],
                                                   uint32_t dtypes, int count) {
    const bool zeroes = (p.flags & GUARD_ZERO_GRAD) != 0;
    if (state.found_inf == 0) {
        const typename guard::Guarded<Op>::Group group = {own, state.grad_factor, p.clip_value, zeroes};
        step_chunk<guard::Guarded<Op>>(group, arrays, dtypes, count, chunks::lane());
    } else if (zeroes) {
        void* grad = arrays[chunks::kGrad];
        if (dtype_of(dtypes, chunks::kGrad) == DTYPE_F32) {
            fill<F32, chunks::kWarp>(static_cast<float*>(grad), count, 0.0f, chunks::lane());
        } else {
            fill<Bf16, chunks::kWarp>(static_cast<uint16_t*>(grad), count, 0.0f, chunks::lane());
        }
    }
}

} // namespace mixed
} // namespace isobit
