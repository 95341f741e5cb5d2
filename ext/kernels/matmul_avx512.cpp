// Compiled for AVX-512 with VNNI; called only where the processor has it.

#include "matmul.h"

#include <cmath>
#include <cstring>
#include <immintrin.h>
#include <limits>

namespace pyl::kernels {

namespace {

constexpr int WORDS = GROUP / 4;  // registers of a group's values

__m512 floats(const half * d) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(d)));
}

__m512 floats(const uint8_t * d) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(d))));
}

__m512 floats(const int8_t * d) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(d))));
}

void unpack(const nibbles & q, __m512i * words) {
    const __m512i low = _mm512_set1_epi8(15);
    for (int j = 0; j < WORDS / 2; ++j) {
        const __m512i both   = _mm512_loadu_si512(q + j * ROWS * 4);
        words[j]             = _mm512_and_si512(both, low);
        words[j + WORDS / 2] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
    }
}

void unpack(const bytes & q, __m512i * words) {
    for (int j = 0; j < WORDS; ++j) {
        words[j] = _mm512_loadu_si512(q + j * ROWS * 4);
    }
}

// One group of one format, ready to multiply. `scale` counts twice where each half has its own; `offset`
// is what one unit of the input's sum adds.
template <typename Packed> struct group_of {
    static constexpr bool has_offset = Packed::has_offset, has_halves = false;
    __m512i               words[WORDS];
    __m512                scale[1], offset;

    group_of(const Packed & pack, int) {
        unpack(pack.q, words);
        scale[0] = floats(pack.d);
        if constexpr (has_offset) {
            offset = floats(pack.m);
        }
    }
};

void add_fifth_bits(const four_bits &, __m512i *) {}

void add_fifth_bits(const five_bits & group, __m512i * words) {
    const __m512i sixteen = _mm512_set1_epi8(16);
    for (int j = 0; j < WORDS; ++j) {
        words[j] = _mm512_mask_add_epi8(words[j], _cvtu64_mask64(group.high[j]), words[j], sixteen);
    }
}

template <typename Group> struct group_of<packed_k<Group>> {
    static constexpr bool has_offset = true, has_halves = false;
    __m512i               words[WORDS];
    __m512                scale[1], offset;

    group_of(const packed_k<Group> & pack, int g) {
        const Group & group = pack.groups[g];
        unpack(group.q, words);
        add_fifth_bits(group, words);
        scale[0] = _mm512_mul_ps(floats(pack.d), floats(group.scale));
        offset   = _mm512_fnmadd_ps(floats(pack.dmin), floats(group.min), _mm512_setzero_ps());
    }
};

template <> struct group_of<packed_q6_k> {
    static constexpr bool has_offset = false, has_halves = true;
    __m512i               words[WORDS];
    __m512                scale[2], offset;

    group_of(const packed_q6_k & pack, int g) {
        const auto & group = pack.groups[g];
        unpack(group.q, words);
        const __m512i two_bits = _mm512_set1_epi8(48);
        for (int j = 0; j < WORDS; ++j) {
            const __m512i high = _mm512_loadu_si512(group.high[j % 2]);
            // The bits 2p and 2p+1 of each byte go to 4 and 5.
            const __m512i shifted =
                j / 2 < 2 ? _mm512_slli_epi16(high, 4 - j / 2 * 2) : _mm512_srli_epi16(high, j / 2 * 2 - 4);
            words[j] = _mm512_or_si512(words[j], _mm512_and_si512(shifted, two_bits));
        }
        for (int h = 0; h < 2; ++h) {
            scale[h] = _mm512_mul_ps(floats(pack.d), floats(group.scale[h]));
        }
    }
};

__m512i four(const int8_t * q) {
    int32_t word;
    std::memcpy(&word, q, sizeof(word));
    return _mm512_set1_epi32(word);
}

// The sums of sixteen rows over the words `from` to `to`, beginning at `sum`.
template <int from, int to> __m512i dot(__m512i sum, const __m512i * words, const int8_t * q) {
    // Two chains: the instruction takes four cycles, and a step with one row has no other work.
    __m512i other = _mm512_setzero_si512();
    for (int j = from; j < to; j += 2) {
        sum   = _mm512_dpbusd_epi32(sum, words[j], four(q + 4 * j));
        other = _mm512_dpbusd_epi32(other, words[j + 1], four(q + 4 * j + 4));
    }
    return _mm512_add_epi32(sum, other);
}

template <typename Group> __m512 add_group(__m512 sum, const Group & group, const input_group & input) {
    const __m512 d = _mm512_set1_ps(input.d);
    if constexpr (Group::has_halves) {
        const __m512i first  = dot<0, WORDS / 2>(_mm512_set1_epi32(input.zero[0]), group.words, input.q);
        const __m512i second = dot<WORDS / 2, WORDS>(_mm512_set1_epi32(input.zero[1]), group.words, input.q);
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(first), _mm512_mul_ps(group.scale[0], d), sum);
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(second), _mm512_mul_ps(group.scale[1], d), sum);
    } else {
        const __m512i zero =
            Group::has_offset ? _mm512_setzero_si512() : _mm512_set1_epi32(input.zero[0] + input.zero[1]);
        const __m512i all = dot<0, WORDS>(zero, group.words, input.q);
        sum               = _mm512_fmadd_ps(_mm512_cvtepi32_ps(all), _mm512_mul_ps(group.scale[0], d), sum);
    }
    if constexpr (Group::has_offset) {
        sum = _mm512_fmadd_ps(group.offset, _mm512_set1_ps(input.sum), sum);
    }
    return sum;
}

// n input rows at a time share the unpacking of a group.
template <typename Packed, int n>
void multiply_rows(
    const Packed * pack, const input_group * input, int64_t n_groups, float * const * outputs,
    int64_t place) {
    __m512 sums[n];
    for (int r = 0; r < n; ++r) {
        sums[r] = _mm512_setzero_ps();
    }
    for (int64_t g = 0; g < n_groups; ++g) {
        const group_of<Packed> group(pack[g / Packed::n_groups], int(g % Packed::n_groups));
#pragma GCC unroll 8
        for (int r = 0; r < n; ++r) {
            sums[r] = add_group(sums[r], group, input[r * n_groups + g]);
        }
    }
    for (int r = 0; r < n; ++r) {
        _mm512_storeu_ps(outputs[r] + place, sums[r]);
    }
}

template <typename Packed>
void multiply(
    const void * pack, const input_group * input, int64_t n_columns, int64_t n_rows, float * const * outputs,
    int64_t place) {
    constexpr int tile     = 8;
    const auto *  weights  = static_cast<const Packed *>(pack);
    const int64_t n_groups = n_columns / GROUP;
    for (; n_rows >= tile; n_rows -= tile, input += tile * n_groups, outputs += tile) {
        multiply_rows<Packed, tile>(weights, input, n_groups, outputs, place);
    }
    switch (n_rows) {
        case 7: return multiply_rows<Packed, 7>(weights, input, n_groups, outputs, place);
        case 6: return multiply_rows<Packed, 6>(weights, input, n_groups, outputs, place);
        case 5: return multiply_rows<Packed, 5>(weights, input, n_groups, outputs, place);
        case 4: return multiply_rows<Packed, 4>(weights, input, n_groups, outputs, place);
        case 3: return multiply_rows<Packed, 3>(weights, input, n_groups, outputs, place);
        case 2: return multiply_rows<Packed, 2>(weights, input, n_groups, outputs, place);
        case 1: return multiply_rows<Packed, 1>(weights, input, n_groups, outputs, place);
    }
}

// A row that holds no number gives none, whatever else is in it.
void spoil(input_group & target) {
    target   = {};
    target.d = target.sum = std::numeric_limits<float>::quiet_NaN();
}

void quantize(const float * row, input_group * target, int64_t n, int zero) {
    const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    for (; n > 0; n -= GROUP, row += GROUP, ++target) {
        const __m512 low  = _mm512_loadu_ps(row);
        const __m512 high = _mm512_loadu_ps(row + 16);
        // As integers, of which infinity is greater than any number, and what is not a number greater still.
        const int32_t most_bits = _mm512_reduce_max_epi32(_mm512_max_epi32(
            _mm512_and_si512(_mm512_castps_si512(low), magnitude),
            _mm512_and_si512(_mm512_castps_si512(high), magnitude)));
        float most;
        std::memcpy(&most, &most_bits, sizeof(most));
        if (!std::isfinite(most)) {
            spoil(*target);
            continue;
        }
        // Infinite where all are zeros, or so small that they count as such.
        const float   inverse = 127.0F / most;
        const __m512  scale   = _mm512_set1_ps(std::isfinite(inverse) ? inverse : 0.0F);
        const __m512i first   = _mm512_cvtps_epi32(_mm512_mul_ps(low, scale));
        const __m512i second  = _mm512_cvtps_epi32(_mm512_mul_ps(high, scale));
        const int     sums[]  = {_mm512_reduce_add_epi32(first), _mm512_reduce_add_epi32(second)};
        _mm_storeu_si128(reinterpret_cast<__m128i *>(target->q), _mm512_cvtepi32_epi8(first));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(target->q + 16), _mm512_cvtepi32_epi8(second));
        target->d       = most / 127.0F;
        target->sum     = target->d * float(sums[0] + sums[1]);
        target->zero[0] = -zero * sums[0];
        target->zero[1] = -zero * sums[1];
    }
}

template <typename Packed> const matmul_kernel * kernel() {
    static const matmul_kernel kernel{quantize, multiply<Packed>, Packed::zero};
    return &kernel;
}

}  // namespace

const matmul_kernel * matmul_avx512(ggml_type type) {
    switch (type) {
        case GGML_TYPE_Q4_0: return kernel<packed_q4_0>();
        case GGML_TYPE_Q4_1: return kernel<packed_q4_1>();
        case GGML_TYPE_Q8_0: return kernel<packed_q8_0>();
        case GGML_TYPE_Q4_K: return kernel<packed_q4_k>();
        case GGML_TYPE_Q5_K: return kernel<packed_q5_k>();
        case GGML_TYPE_Q6_K: return kernel<packed_q6_k>();
        default: return nullptr;
    }
}

}  // namespace pyl::kernels
