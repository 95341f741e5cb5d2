// Stands in for the compiler's <immintrin.h> where the kernels are tested without AVX-512: the intrinsics
// that they use, made of AVX2's. A register of 512 bits is two of 256; what each instruction gives is the
// same to the last bit, down to the order in which a register is added up.

#pragma once

#include_next <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#define PYL_STAND_IN static inline __attribute__((always_inline))

namespace stand_in {

struct floats {
    __m256 half[2];
};

struct doubles {
    __m256d half[2];
};

struct integers {
    __m256i half[2];
};

template <typename T, typename Of> PYL_STAND_IN T halves(Of && of) {
    return {{of(0), of(1)}};
}

template <typename T> PYL_STAND_IN T load(const void * data) {
    T x;
    std::memcpy(&x, data, sizeof(x));
    return x;
}

template <typename To, typename From> PYL_STAND_IN To cast(const From & x) {
    return load<To>(&x);
}

PYL_STAND_IN integers set1_epi8(char x) {
    return halves<integers>([&](int) { return _mm256_set1_epi8(x); });
}

PYL_STAND_IN integers set1_epi16(short x) {
    return halves<integers>([&](int) { return _mm256_set1_epi16(x); });
}

PYL_STAND_IN integers set1_epi32(int x) {
    return halves<integers>([&](int) { return _mm256_set1_epi32(x); });
}

PYL_STAND_IN floats set1_ps(float x) {
    return halves<floats>([&](int) { return _mm256_set1_ps(x); });
}

template <typename... Numbers> PYL_STAND_IN integers setr_epi32(Numbers... numbers) {
    const int32_t all[16] = {numbers...};
    return load<integers>(all);
}

PYL_STAND_IN void storeu_ps(float * target, floats x) {
    std::memcpy(target, &x, sizeof(x));
}

PYL_STAND_IN void storeu_si512(void * target, integers x) {
    std::memcpy(target, &x, sizeof(x));
}

// ---- a half at a time -----------------------------------------------------------------------------

#define PYL_BINARY(type, name)                                                              \
    PYL_STAND_IN type name(type a, type b) {                                                \
        return halves<type>([&](int i) { return _mm256_##name(a.half[i], b.half[i]); });    \
    }
#define PYL_TERNARY(type, name)                                                                     \
    PYL_STAND_IN type name(type a, type b, type c) {                                                \
        return halves<type>([&](int i) { return _mm256_##name(a.half[i], b.half[i], c.half[i]); }); \
    }

PYL_BINARY(floats, add_ps)
PYL_BINARY(floats, sub_ps)
PYL_BINARY(floats, mul_ps)
PYL_BINARY(floats, max_ps)
PYL_BINARY(floats, unpacklo_ps)
PYL_BINARY(floats, unpackhi_ps)
PYL_BINARY(doubles, unpacklo_pd)
PYL_BINARY(doubles, unpackhi_pd)
PYL_BINARY(integers, add_epi32)
PYL_BINARY(integers, max_epi32)
PYL_TERNARY(floats, fmadd_ps)
PYL_TERNARY(floats, fnmadd_ps)

PYL_STAND_IN integers and_si512(integers a, integers b) {
    return halves<integers>([&](int i) { return _mm256_and_si256(a.half[i], b.half[i]); });
}

PYL_STAND_IN integers or_si512(integers a, integers b) {
    return halves<integers>([&](int i) { return _mm256_or_si256(a.half[i], b.half[i]); });
}

PYL_STAND_IN integers slli_epi16(integers a, unsigned n) {
    return halves<integers>([&](int i) { return _mm256_slli_epi16(a.half[i], int(n)); });
}

PYL_STAND_IN integers srli_epi16(integers a, unsigned n) {
    return halves<integers>([&](int i) { return _mm256_srli_epi16(a.half[i], int(n)); });
}

// ---- conversions ----------------------------------------------------------------------------------

PYL_STAND_IN floats cvtepi32_ps(integers a) {
    return halves<floats>([&](int i) { return _mm256_cvtepi32_ps(a.half[i]); });
}

PYL_STAND_IN integers cvtps_epi32(floats a) {
    return halves<integers>([&](int i) { return _mm256_cvtps_epi32(a.half[i]); });
}

PYL_STAND_IN floats cvtph_ps(__m256i a) {
    return {{_mm256_cvtph_ps(_mm256_castsi256_si128(a)), _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1))}};
}

PYL_STAND_IN integers cvtepu8_epi32(__m128i a) {
    return {{_mm256_cvtepu8_epi32(a), _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(a, a))}};
}

PYL_STAND_IN integers cvtepi8_epi32(__m128i a) {
    return {{_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(a, a))}};
}

// The lowest byte of each.
PYL_STAND_IN __m128i cvtepi32_epi8(integers a) {
    const __m256i low   = _mm256_set1_epi32(255);
    const __m256i first = _mm256_and_si256(a.half[0], low);
    const __m256i other = _mm256_and_si256(a.half[1], low);
    const __m256i order = _mm256_permute4x64_epi64(_mm256_packus_epi32(first, other), 0xD8);
    return _mm_packus_epi16(_mm256_castsi256_si128(order), _mm256_extracti128_si256(order, 1));
}

// ---- what AVX2 has nothing like ------------------------------------------------------------------

// Four products of an unsigned and a signed byte to each sum. AVX2's instruction adds two up to 16 bits and
// is content with the greatest that these hold, so the eighth bit takes a way of its own.
PYL_STAND_IN integers dpbusd_epi32(integers sum, integers a, integers b) {
    const __m256i ones = _mm256_set1_epi16(1);
    return halves<integers>([&](int i) {
        const __m256i low  = _mm256_and_si256(a.half[i], _mm256_set1_epi8(127));
        const __m256i high = _mm256_and_si256(_mm256_srli_epi16(a.half[i], 7), _mm256_set1_epi8(1));
        const __m256i some = _mm256_madd_epi16(_mm256_maddubs_epi16(low, b.half[i]), ones);
        const __m256i rest = _mm256_madd_epi16(_mm256_maddubs_epi16(high, b.half[i]), ones);
        return _mm256_add_epi32(sum.half[i], _mm256_add_epi32(some, _mm256_slli_epi32(rest, 7)));
    });
}

// The 128-bit quarters of a that the selector's low pairs of bits name, then those of b.
PYL_STAND_IN floats shuffle_f32x4(floats a, floats b, int selector) {
    const auto quarter = [](const floats & x, int i) {
        return i % 2 == 0 ? _mm256_castps256_ps128(x.half[i / 2]) : _mm256_extractf128_ps(x.half[i / 2], 1);
    };
    return {
        {_mm256_set_m128(quarter(a, selector >> 2 & 3), quarter(a, selector & 3)),
         _mm256_set_m128(quarter(b, selector >> 6 & 3), quarter(b, selector >> 4 & 3))}};
}

PYL_STAND_IN floats roundscale_ps(floats a, int) {
    constexpr int to_nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return halves<floats>([&](int i) { return _mm256_round_ps(a.half[i], to_nearest); });
}

// a times 2 to the b, whole numbers from -252 to 252: in two steps, of which the first is exact.
PYL_STAND_IN floats scalef_ps(floats a, floats b) {
    return halves<floats>([&](int i) {
        const __m256i n     = _mm256_cvtps_epi32(b.half[i]);
        const __m256i first = _mm256_srai_epi32(n, 1);
        const auto    power = [](__m256i e) {
            return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
        };
        const __m256 scaled =
            _mm256_mul_ps(_mm256_mul_ps(a.half[i], power(first)), power(_mm256_sub_epi32(n, first)));
        return _mm256_blendv_ps(scaled, a.half[i], _mm256_cmp_ps(b.half[i], b.half[i], _CMP_UNORD_Q));
    });
}

PYL_STAND_IN float reduce_add_ps(floats a) {
    const __m256 x = _mm256_add_ps(a.half[1], a.half[0]);
    const __m128 y = _mm_add_ps(_mm256_extractf128_ps(x, 1), _mm256_castps256_ps128(x));
    const __m128 z = _mm_add_ps(y, _mm_movehl_ps(y, y));
    return z[0] + z[1];
}

PYL_STAND_IN float reduce_max_ps(floats a) {
    const __m256 x = _mm256_max_ps(a.half[1], a.half[0]);
    const __m128 y = _mm_max_ps(_mm256_extractf128_ps(x, 1), _mm256_castps256_ps128(x));
    const __m128 z = _mm_max_ps(y, _mm_movehl_ps(y, y));
    return z[0] > z[1] ? z[0] : z[1];
}

PYL_STAND_IN int reduce_add_epi32(integers a) {
    const __m256i x = _mm256_add_epi32(a.half[0], a.half[1]);
    const __m128i y = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i z = _mm_add_epi32(y, _mm_srli_si128(y, 8));
    return _mm_extract_epi32(z, 0) + _mm_extract_epi32(z, 1);
}

PYL_STAND_IN int reduce_max_epi32(integers a) {
    const __m256i x = _mm256_max_epi32(a.half[0], a.half[1]);
    const __m128i y = _mm_max_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    const __m128i z = _mm_max_epi32(y, _mm_srli_si128(y, 8));
    return _mm_extract_epi32(_mm_max_epi32(z, _mm_srli_si128(z, 4)), 0);
}

// ---- masks: a bit for each element ---------------------------------------------------------------

// All ones in each byte whose bit is set.
PYL_STAND_IN __m256i spread_to_bytes(uint32_t mask) {
    const __m256i places = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bits   = _mm256_set1_epi64x(int64_t(0x8040201008040201));
    const __m256i its    = _mm256_shuffle_epi8(_mm256_set1_epi32(int(mask)), places);
    return _mm256_cmpeq_epi8(_mm256_and_si256(its, bits), bits);
}

PYL_STAND_IN integers mask_add_epi8(integers rest, uint64_t mask, integers a, integers b) {
    return halves<integers>([&](int i) {
        const __m256i sum = _mm256_add_epi8(a.half[i], b.half[i]);
        return _mm256_blendv_epi8(rest.half[i], sum, spread_to_bytes(uint32_t(mask >> 32 * i)));
    });
}

PYL_STAND_IN floats mask_blend_ps(uint32_t mask, floats a, floats b) {
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return halves<floats>([&](int i) {
        const __m256i its = _mm256_and_si256(_mm256_set1_epi32(int(mask >> 8 * i)), bits);
        return _mm256_blendv_ps(a.half[i], b.half[i], _mm256_castsi256_ps(_mm256_cmpeq_epi32(its, bits)));
    });
}

// Memory that the mask leaves out is not touched.
template <typename T> PYL_STAND_IN T maskz_loadu_epi16(uint32_t mask, const void * data) {
    T x{};
    if (mask == (uint64_t(1) << sizeof(T) / 2) - 1) {
        return load<T>(data);
    }
    for (size_t i = 0; i < sizeof(T) / 2; ++i) {
        if (mask >> i & 1) {
            std::memcpy(reinterpret_cast<char *>(&x) + 2 * i, static_cast<const char *>(data) + 2 * i, 2);
        }
    }
    return x;
}

// Two bytes each: their bits are every second of the bytes'.
PYL_STAND_IN uint32_t mask_cmpneq_epi16_mask(uint32_t mask, __m256i a, __m256i b) {
    const __m256i equal  = _mm256_cmpeq_epi16(a, b);
    const __m128i narrow = _mm_packs_epi16(_mm256_castsi256_si128(equal), _mm256_extracti128_si256(equal, 1));
    return mask & ~uint32_t(_mm_movemask_epi8(narrow)) & 0xFFFF;
}

PYL_STAND_IN uint32_t mask_cmpneq_epi16_mask(uint32_t mask, integers a, integers b) {
    return mask_cmpneq_epi16_mask(mask & 0xFFFF, a.half[0], b.half[0]) |
           mask_cmpneq_epi16_mask(mask >> 16, a.half[1], b.half[1]) << 16;
}

PYL_STAND_IN integers maskz_compress_epi32(uint32_t mask, integers a) {
    int32_t from[16], to[16] = {};
    std::memcpy(from, &a, sizeof(from));
    for (int i = 0, n = 0; i < 16; ++i) {
        if (mask >> i & 1) {
            to[n++] = from[i];
        }
    }
    return load<integers>(to);
}

}  // namespace stand_in

// ---- in the intrinsics' place ---------------------------------------------------------------------

// Some compilers have macros of these names.
#undef _mm256_mask_cmpneq_epi16_mask
#undef _mm512_mask_cmpneq_epi16_mask
#undef _mm512_roundscale_ps
#undef _mm512_setr_epi32
#undef _mm512_shuffle_f32x4

#define __m512 stand_in::floats
#define __m512d stand_in::doubles
#define __m512i stand_in::integers

#define _cvtu64_mask64 uint64_t
#define _mm256_mask_cmpneq_epi16_mask stand_in::mask_cmpneq_epi16_mask
#define _mm256_maskz_loadu_epi16 stand_in::maskz_loadu_epi16<__m256i>
#define _mm512_add_epi32 stand_in::add_epi32
#define _mm512_add_ps stand_in::add_ps
#define _mm512_and_si512 stand_in::and_si512
#define _mm512_castpd_ps stand_in::cast<stand_in::floats>
#define _mm512_castps_pd stand_in::cast<stand_in::doubles>
#define _mm512_castps_si512 stand_in::cast<stand_in::integers>
#define _mm512_cvtepi32_epi8 stand_in::cvtepi32_epi8
#define _mm512_cvtepi32_ps stand_in::cvtepi32_ps
#define _mm512_cvtepi8_epi32 stand_in::cvtepi8_epi32
#define _mm512_cvtepu8_epi32 stand_in::cvtepu8_epi32
#define _mm512_cvtph_ps stand_in::cvtph_ps
#define _mm512_cvtps_epi32 stand_in::cvtps_epi32
#define _mm512_dpbusd_epi32 stand_in::dpbusd_epi32
#define _mm512_fmadd_ps stand_in::fmadd_ps
#define _mm512_fnmadd_ps stand_in::fnmadd_ps
#define _mm512_loadu_ps stand_in::load<stand_in::floats>
#define _mm512_loadu_si512 stand_in::load<stand_in::integers>
#define _mm512_mask_add_epi8 stand_in::mask_add_epi8
#define _mm512_mask_blend_ps stand_in::mask_blend_ps
#define _mm512_mask_cmpneq_epi16_mask stand_in::mask_cmpneq_epi16_mask
#define _mm512_maskz_compress_epi32 stand_in::maskz_compress_epi32
#define _mm512_maskz_loadu_epi16 stand_in::maskz_loadu_epi16<stand_in::integers>
#define _mm512_max_epi32 stand_in::max_epi32
#define _mm512_max_ps stand_in::max_ps
#define _mm512_mul_ps stand_in::mul_ps
#define _mm512_or_si512 stand_in::or_si512
#define _mm512_reduce_add_epi32 stand_in::reduce_add_epi32
#define _mm512_reduce_add_ps stand_in::reduce_add_ps
#define _mm512_reduce_max_epi32 stand_in::reduce_max_epi32
#define _mm512_reduce_max_ps stand_in::reduce_max_ps
#define _mm512_roundscale_ps stand_in::roundscale_ps
#define _mm512_scalef_ps stand_in::scalef_ps
#define _mm512_set1_epi16 stand_in::set1_epi16
#define _mm512_set1_epi32 stand_in::set1_epi32
#define _mm512_set1_epi8 stand_in::set1_epi8
#define _mm512_set1_ps stand_in::set1_ps
#define _mm512_setr_epi32 stand_in::setr_epi32
#define _mm512_setzero_ps() stand_in::set1_ps(0.0F)
#define _mm512_setzero_si512() stand_in::set1_epi32(0)
#define _mm512_shuffle_f32x4 stand_in::shuffle_f32x4
#define _mm512_slli_epi16 stand_in::slli_epi16
#define _mm512_srli_epi16 stand_in::srli_epi16
#define _mm512_storeu_ps stand_in::storeu_ps
#define _mm512_storeu_si512 stand_in::storeu_si512
#define _mm512_sub_ps stand_in::sub_ps
#define _mm512_unpackhi_pd stand_in::unpackhi_pd
#define _mm512_unpackhi_ps stand_in::unpackhi_ps
#define _mm512_unpacklo_pd stand_in::unpacklo_pd
#define _mm512_unpacklo_ps stand_in::unpacklo_ps
