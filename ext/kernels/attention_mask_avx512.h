// Which cells a row sees: those whose mask is not minus infinity. For sources that are compiled for AVX-512.

#pragma once

#include "attention_rows_avx512.h"

#include <algorithm>
#include <cstdint>
#include <immintrin.h>

namespace pyl::kernels::avx512 {

constexpr half MASKED = 0xFC00;  // minus infinity

// Which of up to 32 cells are not masked, a bit for each.
inline uint32_t seen_among(const half * mask, int n_cells) {
    const __mmask32 valid = n_cells == 32 ? ~0U : (1U << n_cells) - 1;
    const __m512i   some  = _mm512_maskz_loadu_epi16(valid, mask);
    return _mm512_mask_cmpneq_epi16_mask(valid, some, _mm512_set1_epi16(short(MASKED)));
}

// The first cell that is not masked; n_cells where all are.
inline int64_t first_seen(const half * mask, int64_t n_cells) {
    for (int64_t cell = 0; cell < n_cells; cell += 32) {
        const uint32_t seen = seen_among(mask + cell, int(std::min<int64_t>(32, n_cells - cell)));
        if (seen != 0) {
            return cell + __builtin_ctz(seen);
        }
    }
    return n_cells;
}

// The last one; -1 where all are masked.
inline int64_t last_seen(const half * mask, int64_t n_cells) {
    for (int64_t cell = (n_cells - 1) / 32 * 32; cell >= 0; cell -= 32) {
        const uint32_t seen = seen_among(mask + cell, int(std::min<int64_t>(32, n_cells - cell)));
        if (seen != 0) {
            return cell + 31 - __builtin_clz(seen);
        }
    }
    return -1;
}

// How many are not masked.
inline int n_seen(const half * mask, int n_cells) {
    int n = 0;
    for (int cell = 0; cell < n_cells; cell += 32) {
        n += __builtin_popcount(seen_among(mask + cell, std::min(32, n_cells - cell)));
    }
    return n;
}

// Writes the numbers of those of sixteen cells whose bits are set, and room for the others; returns how
// many they are.
inline int append(int32_t * order, int64_t cell, uint32_t seen) {
    const __m512i count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i cells = _mm512_add_epi32(count, _mm512_set1_epi32(int(cell)));
    _mm512_storeu_si512(order, _mm512_maskz_compress_epi32(__mmask16(seen), cells));
    return __builtin_popcount(seen);
}

}  // namespace pyl::kernels::avx512
