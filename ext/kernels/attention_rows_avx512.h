// How attention reads cells, in AVX-512. For sources that are compiled for it.

#pragma once

#include "attention.h"

#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace pyl::kernels::avx512 {

constexpr int LANES = 16;

using half = uint16_t;

// Out of line, sixteen registers would go through memory.
#define PYL_IN_REGISTERS inline __attribute__((always_inline))

inline __m512 load(const float * x) {
    return _mm512_loadu_ps(x);
}

// Rows of numbers, `stride` bytes from one to the next, of which load() gives sixteen as floats: row k from
// column c on, a multiple of sixteen.
struct float_rows {
    const char * data;
    int64_t      stride;

    PYL_IN_REGISTERS __m512 load(int64_t k, int64_t c) const {
        return _mm512_loadu_ps(reinterpret_cast<const float *>(data + k * stride) + c);
    }
};

struct half_rows {
    const char * data;
    int64_t      stride;

    PYL_IN_REGISTERS __m512 load(int64_t k, int64_t c) const {
        return _mm512_cvtph_ps(_mm256_loadu_si256(
            reinterpret_cast<const __m256i *>(data + k * stride + c * int64_t(sizeof(half)))));
    }
};

// ggml's blocks: a scale of 16 bits, then 32 numbers of eight.
struct q8_0_rows {
    const char * data;
    int64_t      stride;

    PYL_IN_REGISTERS __m512 load(int64_t k, int64_t c) const {
        constexpr int64_t width = 32;
        const char *      block = data + k * stride + c / width * (int64_t(sizeof(half)) + width);
        half              scale;
        std::memcpy(&scale, block, sizeof(scale));
        const __m128i q =
            _mm_loadu_si128(reinterpret_cast<const __m128i *>(block + sizeof(half) + c % width));
        return _mm512_mul_ps(
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), _mm512_set1_ps(_cvtsh_ss(scale)));
    }
};

// Memory to ask for while a block of cells is worked on: what the next block reads, in the order of its
// addresses. Heads take turns with a block, so that the processor sees strides where it could see a stream;
// left to itself it reads a long cache at half of what memory gives. Evenly spread, since more lines at once
// than a core can wait for hold up the loads of what is there already.
struct lookahead {
    const char * start   = nullptr;
    int64_t      stride  = 0;  // bytes from one cell's share to the next's
    int64_t      share   = 0;  // bytes
    int64_t      further = 0;  // bytes from the next block to the one after it

    // What belongs to one of the cells that are worked on.
    PYL_IN_REGISTERS void fetch(int64_t cell) const {
        constexpr int line = 64;
        for (int64_t i = 0; i < share; i += line) {
            _mm_prefetch(start + cell * stride + i, _MM_HINT_T0);
            _mm_prefetch(start + cell * stride + i + further, _MM_HINT_T1);
        }
    }

    // Of a block of sixteen: while the dimensions from d on of its dk are worked on, their share of it.
    PYL_IN_REGISTERS void fetch(int64_t block, int64_t d, int64_t dk) const {
        for (int64_t i = d * LANES / dk; i < (d + LANES) * LANES / dk; ++i) {
            fetch(block + i);
        }
    }
};

}  // namespace pyl::kernels::avx512
