/*
 * kernels/exact_math.cuh and dtypes.cuh, as gcc compiles them: the functions against float64, rounding to BF16 and F16
 * against a search of their values.
 *
 *   exact_math_check          a fixed subset: checksums as in checksums.txt, and at most 1 ULP
 *   exact_math_check --all    all 2^32 inputs of each (minutes)
 *   exact_math_check --print  the checksums
 *
 * A checksum is the 64-bit FNV-1a hash of the results' bits, least significant byte first, every NaN as 0x7fc00000, for
 * the inputs with bits 0, 4099, 2·4099, ... (mod 2^32), 2^20 of them. The Java twin is held to the same file.
 */
#include "cuda_on_host.h"

#include "../../kernels/dtypes.cuh"
#include "../../kernels/exact_math.cuh"

#include <cinttypes>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace {

using Function = float (*)(float);
using Reference = double (*)(double);

struct Case {
    const char* name;
    Function function;
    Reference reference;
};

const Case kCases[] = {
    {"exp", [](float x) { return isobit::exact_exp(x); }, [](double x) { return std::exp(x); }},
    {"log", [](float x) { return isobit::exact_log(x); }, [](double x) { return std::log(x); }},
    {"log1p", [](float x) { return isobit::exact_log1p(x); }, [](double x) { return std::log1p(x); }},
};

/* Types of 16 bits: a checksum is of what a float is rounded to, as a float. */
struct NarrowCase {
    const char* name;
    Function round;
    uint16_t (*narrow)(float);
    float (*widen)(uint16_t);
    int infinity;
    float end; /* what follows the largest number */
};

template <typename T>
NarrowCase narrow_case(const char* name, int infinity, float end) {
    return {name, [](float x) { return T::widen(T::narrow(x)); }, T::narrow, T::widen, infinity, end};
}

const NarrowCase kNarrowCases[] = {
    narrow_case<isobit::Bf16>("bf16", 0x7f80, INFINITY),
    narrow_case<isobit::F16>("f16", 0x7c00, 0x1p16f),
};

constexpr uint64_t kStep = 4099;
constexpr uint64_t kCount = 1 << 20;
constexpr uint64_t kAll = 1ull << 32;

uint32_t canonical_bits(float x) { return x != x ? 0x7fc00000u : __float_as_uint(x); }

uint64_t checksum(Function function) {
    uint64_t hash = 0xcbf29ce484222325;
    for (uint64_t i = 0; i < kCount; i++) {
        uint32_t bits = canonical_bits(function(__uint_as_float(static_cast<uint32_t>(i * kStep))));
        for (int byte = 0; byte < 4; byte++) {
            hash ^= bits >> (8 * byte) & 0xff;
            hash *= 0x100000001b3;
        }
    }
    return hash;
}

/* The distance from the exact result in units of its last place; NaN where exactly one of the two is a NaN. */
double ulp_error(float actual, double exact) {
    if (exact != exact || actual != actual) return exact != exact && actual != actual ? 0 : NAN;
    float rounded = static_cast<float>(exact);
    if (std::isinf(rounded) || std::isinf(actual)) return rounded == actual ? 0 : INFINITY;
    int exponent = exact == 0 ? -126 : std::max(std::ilogb(exact), -126);
    return std::fabs(actual - exact) / std::ldexp(1.0, exponent - 23);
}

struct Worst {
    double error = 0;
    uint32_t input = 0;
};

Worst worst_of(const Case& c, uint64_t first, uint64_t last, uint64_t step) {
    Worst worst;
    for (uint64_t i = first; i < last; i += step) {
        float x = __uint_as_float(static_cast<uint32_t>(i));
        double error = ulp_error(c.function(x), c.reference(x));
        if (!(error <= worst.error)) worst = {error, static_cast<uint32_t>(i)};
        if (error != error) break;
    }
    return worst;
}

bool is_within_one_ulp(const Case& c, bool all) {
    const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
    std::vector<Worst> found(threads);
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; t++) {
        workers.emplace_back([&, t] {
            found[t] =
                worst_of(c, kAll / threads * t, t + 1 == threads ? kAll : kAll / threads * (t + 1), all ? 1 : 1021);
        });
    }
    for (std::thread& worker : workers) worker.join();
    Worst worst;
    for (const Worst& w : found) {
        if (!(w.error <= worst.error)) worst = w;
    }
    std::printf("%-6s %s: at most %.4f ULP, at %a\n", c.name, all ? "all 2^32 inputs" : "every 1021st input",
                worst.error, static_cast<double>(__uint_as_float(worst.input)));
    return worst.error <= 1;
}

/* The values of the type lie in rising order of their bits: each float is held to the nearest of its neighbours. */
bool is_rounded_to_nearest(const NarrowCase& c, bool all) {
    int compared = 0;
    for (int low = 0; low < c.infinity; low++) {
        const double below = c.widen(static_cast<uint16_t>(low));
        const bool last = low + 1 == c.infinity;
        const double above = !last               ? c.widen(static_cast<uint16_t>(low + 1))
                             : std::isinf(c.end) ? std::ldexp(1.0, 128)
                                                 : c.end;
        const float middle = static_cast<float>((below + above) / 2);
        const uint32_t first = __float_as_uint(static_cast<float>(below));
        const uint32_t end = __float_as_uint(static_cast<float>(above));
        for (uint32_t bits = first; bits < end; bits++) {
            if (!all && bits == first + 2 && end - first > 8) bits = __float_as_uint(middle) - 2;
            if (!all && bits == __float_as_uint(middle) + 2 && bits < end - 2) bits = end - 2;
            const double x = __uint_as_float(bits);
            const bool up = x - below > above - x || (x - below == above - x && (low & 1) != 0);
            for (uint32_t sign : {0u, 1u}) {
                const int wanted = (up ? low + 1 : low) | static_cast<int>(sign << 15);
                const int actual = c.narrow(__uint_as_float(bits | sign << 31));
                compared++;
                if (actual != wanted) {
                    std::printf("%s of %a is %04x, not %04x\n", c.name, sign ? -x : x, actual, wanted);
                    return false;
                }
            }
        }
    }
    const int nan = c.infinity == 0x7f80 ? 0x7fc0 : 0x7e00;
    bool edges = c.narrow(INFINITY) == c.infinity && c.narrow(-INFINITY) == (c.infinity | 0x8000) &&
                 c.narrow(3.4e38f) == (c.infinity == 0x7f80 ? 0x7f80 : c.infinity) &&
                 c.narrow(__uint_as_float(0xff812345u)) == nan && c.narrow(__uint_as_float(0x7f800001u)) == nan;
    std::printf("%-6s %d floats between its values: %s\n", c.name, compared, edges ? "nearest" : "wrong at an edge");
    return edges && compared > 0;
}

/* exp_difference and exp64 have too many inputs to try all. */
bool are_differences_right() {
    uint64_t state = 1;
    auto random = [&state] {
        state = state * 6364136223846793005 + 1442695040888963407;
        return static_cast<double>(state >> 11) * 0x1p-53;
    };
    double worst = 0;
    double worst64 = 0;
    for (int i = 0; i < 4000000; i++) {
        float m = static_cast<float>(std::ldexp(random() - 0.5, static_cast<int>(random() * 30)));
        float z = static_cast<float>(m - random() * 110);
        if (z <= m) {
            double exact = std::exp(static_cast<double>(z) - static_cast<double>(m));
            worst = std::max(worst, ulp_error(isobit::exp_difference(z, m), exact));
        }
        double x = -200 * random();
        long double exact64 = std::exp(static_cast<long double>(x));
        long double ulp = std::ldexp(1.0L, std::ilogb(exact64) - 52);
        double error = static_cast<double>(std::fabs(isobit::exact_exp64(x) - exact64) / ulp);
        worst64 = std::max(worst64, error);
    }
    std::printf("exp_difference: at most %.4f ULP; exp64: at most %.4f ULP\n", worst, worst64);
    bool edges = isobit::exp_difference(3.5f, 3.5f) == 1 && isobit::exp_difference(-INFINITY, 3.5f) == 0 &&
                 isobit::exp_difference(-3e38f, 3e38f) == 0 && isobit::exact_exp64(0) == 1 &&
                 isobit::exact_exp64(-INFINITY) == 0;
    if (!edges) std::printf("exp_difference or exp64 is wrong at an edge\n");
    return worst <= 2 && worst64 <= 4 && edges;
}

Function function_of(const std::string& name) {
    for (const Case& c : kCases) {
        if (c.name == name) return c.function;
    }
    for (const NarrowCase& c : kNarrowCases) {
        if (c.name == name) return c.round;
    }
    return nullptr;
}

bool are_checksums_right(const std::string& file) {
    std::FILE* in = std::fopen(file.c_str(), "r");
    if (in == nullptr) {
        std::printf("cannot read %s\n", file.c_str());
        return false;
    }
    bool right = true;
    int compared = 0;
    char name[16];
    uint64_t wanted;
    while (std::fscanf(in, "%15s %" SCNx64, name, &wanted) == 2) {
        const Function function = function_of(name);
        if (function == nullptr) continue;
        uint64_t actual = checksum(function);
        compared++;
        if (actual != wanted) {
            std::printf("%s: checksum %016" PRIx64 ", not %016" PRIx64 "\n", name, actual, wanted);
            right = false;
        }
    }
    std::fclose(in);
    return right && compared == static_cast<int>(std::size(kCases) + std::size(kNarrowCases));
}

} // namespace

int main(int count, char** arguments) {
    std::string mode = count > 2 ? arguments[2] : "";
    if (count < 2 || (mode != "" && mode != "--all" && mode != "--print")) {
        std::fprintf(stderr, "usage: exact_math_check CHECKSUMS [--all | --print]\n");
        return 2;
    }
    if (mode == "--print") {
        for (const Case& c : kCases) std::printf("%s %016" PRIx64 "\n", c.name, checksum(c.function));
        for (const NarrowCase& c : kNarrowCases) std::printf("%s %016" PRIx64 "\n", c.name, checksum(c.round));
        return 0;
    }
    bool right = are_checksums_right(arguments[1]);
    for (const Case& c : kCases) right = is_within_one_ulp(c, mode == "--all") && right;
    for (const NarrowCase& c : kNarrowCases) right = is_rounded_to_nearest(c, mode == "--all") && right;
    right = are_differences_right() && right;
    return right ? 0 : 1;
}
