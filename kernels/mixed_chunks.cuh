/*
 * How an optimizer's update goes over tensors of several types, see chunks.cuh: a warp takes a chunk at a time, whose arrays
 * are F32, BF16 or F16 each. What is read is widened, the update is that of float32, what is written is rounded (dtypes.cuh).
 *
 * The parameter may be kept apart from what the update works on: as the nearest to a float32 master, as the upper half of one
 * that is rounded up or down, or rounded stochastically by noise from the keys of its chunk and the step, see
 * dev.isobit.math.RoundingNoise.
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

/* Whether an array has a boundary so many elements from its start. */
__device__ __forceinline__ bool is_common(int head, uint32_t dtype, const void* array) {
    const int pack = dtype == DTYPE_F32 ? F32::kPack : Bf16::kPack;
    return head_of(dtype, array) == (head & (pack - 1));
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

/* How a parameter is kept. */
struct Keeping {
    void* master;    /* null for none */
    bool remainders; /* the master is of 16 bits */
    bool stochastic;
    uint32_t first; /* of the chunk's first element */
    uint32_t key1;
    uint32_t key2;
};

__device__ __forceinline__ uint32_t mix(uint32_t x) {
    x = (x ^ x >> 16) * 0x85ebca6bu;
    x = (x ^ x >> 13) * 0xc2b2ae35u;
    return x ^ x >> 16;
}

__device__ __forceinline__ uint32_t at_step(uint32_t key, int64_t step) {
    key = mix(key * 0x9e3779b1u ^ static_cast<uint32_t>(step));
    return mix(key * 0x9e3779b1u ^ static_cast<uint32_t>(step >> 32));
}

template <typename Chunk>
__device__ __forceinline__ Keeping keeping_of(const Chunk& chunk, int master, int64_t step) {
    return {chunk.master,
            dtype_of(chunk.dtypes, master) == DTYPE_I16,
            (chunk.dtypes & MIXED_STOCHASTIC) != 0,
            chunk.first,
            at_step(chunk.key_first, step),
            at_step(chunk.key_second, step)};
}

/* A float32 of BF16, one of the two around x. */
__device__ __forceinline__ float rounded(const Keeping& keeping, float x, int i) {
    const uint32_t noise = mix(mix((keeping.first + i) ^ keeping.key1) ^ keeping.key2) >> 16;
    return __uint_as_float((__float_as_uint(x) + noise) & 0xffff0000u);
}

/* Elements of the parameter, or of its master. */
template <int kArrays>
__device__ __forceinline__ void load_params(const Keeping& keeping, uint32_t dtype, const void* param, int i,
                                            float (&x)[kPack][kArrays]) {
    if (keeping.master == nullptr) {
        load_pack(dtype, param, i, 0, x);
    } else if (!keeping.remainders) {
        load_pack(DTYPE_F32, keeping.master, i, 0, x);
    } else {
        load_pack(DTYPE_BF16, param, i, 0, x);
        const uint4 v = chunks::load(reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(keeping.master) + i));
        const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int w = 0; w < 4; w++) {
            x[2 * w][0] = __int_as_float(__float_as_int(x[2 * w][0]) + static_cast<int16_t>(words[w]));
            x[2 * w + 1][0] = __int_as_float(__float_as_int(x[2 * w + 1][0]) + static_cast<int16_t>(words[w] >> 16));
        }
    }
}

template <int kArrays>
__device__ __forceinline__ void store_params(const Keeping& keeping, uint32_t dtype, void* param, int i,
                                             float (&x)[kPack][kArrays]) {
    if (keeping.master != nullptr && !keeping.remainders) store_pack(DTYPE_F32, keeping.master, i, 0, x);
    if (keeping.remainders) {
        uint32_t words[4];
#pragma unroll
        for (int w = 0; w < 4; w++) {
            const uint32_t lower = __float_as_uint(x[2 * w][0]);
            const uint32_t upper = __float_as_uint(x[2 * w + 1][0]);
            words[w] = (lower & 0xffffu) | upper << 16;
            /* Without its remainder a master is a number of BF16. */
            x[2 * w][0] = __uint_as_float(lower - static_cast<int16_t>(lower));
            x[2 * w + 1][0] = __uint_as_float(upper - static_cast<int16_t>(upper));
        }
        chunks::store(reinterpret_cast<uint4*>(static_cast<uint16_t*>(keeping.master) + i),
                      make_uint4(words[0], words[1], words[2], words[3]));
    }
    if (keeping.stochastic) {
#pragma unroll
        for (int c = 0; c < kPack; c++) x[c][0] = rounded(keeping, x[c][0], i + c);
    }
    store_pack(dtype, param, i, 0, x);
}

__device__ __forceinline__ float load_param(const Keeping& keeping, uint32_t dtype, const void* param, int i) {
    if (keeping.master == nullptr) return load(dtype, param, i);
    if (!keeping.remainders) return load(DTYPE_F32, keeping.master, i);
    const int16_t remainder = static_cast<int16_t>(chunks::load(static_cast<const uint16_t*>(keeping.master) + i));
    return __int_as_float(__float_as_int(load(DTYPE_BF16, param, i)) + remainder);
}

__device__ __forceinline__ void store_param(const Keeping& keeping, uint32_t dtype, void* param, int i, float x) {
    if (keeping.remainders) {
        const uint32_t bits = __float_as_uint(x);
        chunks::store(static_cast<uint16_t*>(keeping.master) + i, static_cast<uint16_t>(bits));
        x = __uint_as_float(bits - static_cast<int16_t>(bits));
    } else if (keeping.master != nullptr) {
        store(DTYPE_F32, keeping.master, i, x);
    }
    store(dtype, param, i, keeping.stochastic ? rounded(keeping, x, i) : x);
}

/* A warp updates a chunk: elements before the boundary and behind the last pack one by one, all of them where the arrays have
 * no boundary in common. */
template <typename Op>
__device__ __forceinline__ void step_chunk(const typename Op::Group& group, void* const (&arrays)[Op::kArrays],
                                           const Keeping& keeping, uint32_t dtypes, int count, int lane) {
    constexpr int kArrays = Op::kArrays;
    const uint32_t master = keeping.remainders ? DTYPE_BF16 : DTYPE_F32;
    int head = keeping.master != nullptr ? head_of(master, keeping.master) : 0;
#pragma unroll
    for (int a = 0; a < kArrays; a++) {
        const int own = head_of(dtype_of(dtypes, a), arrays[a]);
        if (own > head) head = own;
    }
    bool packed = head <= count && (keeping.master == nullptr || is_common(head, master, keeping.master));
#pragma unroll
    for (int a = 0; a < kArrays; a++) packed = packed && is_common(head, dtype_of(dtypes, a), arrays[a]);
    if (!packed) head = count;
    const int whole = (count - head) / kPack;
    ISOBIT_MAIN_LOOP_BEGIN;
    for (int q = lane; q < whole; q += chunks::kWarp) {
        const int i = head + kPack * q;
        float x[kPack][kArrays];
        load_params(keeping, dtype_of(dtypes, 0), arrays[0], i, x);
#pragma unroll
        for (int a = 1; a < kArrays; a++) load_pack(dtype_of(dtypes, a), arrays[a], i, a, x);
#pragma unroll
        for (int c = 0; c < kPack; c++) Op::update(group, x[c]);
#pragma unroll
        for (int a = 1; a < kArrays; a++) {
            if (a != chunks::kGrad || Op::writes_grad(group)) store_pack(dtype_of(dtypes, a), arrays[a], i, a, x);
        }
        store_params(keeping, dtype_of(dtypes, 0), arrays[0], i, x);
    }
    ISOBIT_MAIN_LOOP_END;
    const int rest = count - kPack * whole;
#pragma unroll 1
    for (int r = lane; r < rest; r += chunks::kWarp) {
        const int i = r < head ? r : kPack * whole + r;
        float x[kArrays];
        x[0] = load_param(keeping, dtype_of(dtypes, 0), arrays[0], i);
#pragma unroll
        for (int a = 1; a < kArrays; a++) x[a] = load(dtype_of(dtypes, a), arrays[a], i);
        Op::update(group, x);
#pragma unroll
        for (int a = 1; a < kArrays; a++) {
            if (a != chunks::kGrad || Op::writes_grad(group)) store(dtype_of(dtypes, a), arrays[a], i, x[a]);
        }
        store_param(keeping, dtype_of(dtypes, 0), arrays[0], i, x[0]);
    }
}

/* The same in a guarded step, which may leave the chunk as it is: guard::step_chunk. */
template <typename Op>
__device__ __forceinline__ void step_chunk_guarded(const guard_params& p, const guard_state& state,
                                                   const typename Op::Group& own, void* const (&arrays)[Op::kArrays],
                                                   const Keeping& keeping, uint32_t dtypes, int count) {
    const bool zeroes = (p.flags & GUARD_ZERO_GRAD) != 0;
    if (state.found_inf == 0) {
        const typename guard::Guarded<Op>::Group group = {own, state.grad_factor, p.clip_value, zeroes};
        step_chunk<guard::Guarded<Op>>(group, arrays, keeping, dtypes, count, chunks::lane());
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
