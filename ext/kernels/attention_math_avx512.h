// The parts of attention, in AVX-512: scores, the running softmax, weighted sums. For sources that are
// compiled for it.

#pragma once

#include "attention_mask_avx512.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <immintrin.h>
#include <limits>

namespace pyl::kernels::avx512 {

constexpr int PANEL = TILE_CELLS / LANES;  // registers of a tile's scores
constexpr int FEW   = 8;                   // rows whose scores of a block of cells fit into the registers
constexpr int WIDE  = 6;                   // rows whose sums fit, four registers for each

// e to the x, for x <= 0; within two units of the last place. Below -150 it is zero.
inline __m512 exp_negative(__m512 x) {
    // In this order, since of two operands one of which is no number the second is taken.
    const __m512 t = _mm512_mul_ps(_mm512_max_ps(_mm512_set1_ps(-150.0F), x), _mm512_set1_ps(1.44269504F));
    const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_sub_ps(t, n);
    // The series of 2^f = e^(f ln 2), f from -1/2 to 1/2: (ln 2)^k / k!
    __m512 p = _mm512_set1_ps(1.54035304e-4F);
    for (const float c :
         {1.33335581e-3F, 9.61812911e-3F, 5.55041087e-2F, 2.40226507e-1F, 6.93147181e-1F, 1.0F}) {
        p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(c));
    }
    return _mm512_scalef_ps(p, n);
}

// sums[r][0 ... 16 width - 1] += weights[r][k] * matrix[k][column ...], for n_rows rows and all k below
// depth.
template <int n_rows, int width, typename Rows>
void add_products(
    float * const * sums, const float * const * weights, const Rows & matrix, int64_t column, int64_t depth,
    const lookahead & next) {
    __m512 total[n_rows][width];
    for (int r = 0; r < n_rows; ++r) {
        for (int j = 0; j < width; ++j) {
            total[r][j] = load(sums[r] + column + j * LANES);
        }
    }
    for (int64_t k = 0; k < depth; ++k) {
        next.fetch(k);
        __m512 row[width];
        for (int j = 0; j < width; ++j) {
            row[j] = matrix.load(k, column + j * LANES);
        }
        for (int r = 0; r < n_rows; ++r) {
            const __m512 weight = _mm512_set1_ps(weights[r][k]);
            for (int j = 0; j < width; ++j) {
                total[r][j] = _mm512_fmadd_ps(weight, row[j], total[r][j]);
            }
        }
    }
    for (int r = 0; r < n_rows; ++r) {
        for (int j = 0; j < width; ++j) {
            _mm512_storeu_ps(sums[r] + column + j * LANES, total[r][j]);
        }
    }
}

template <int width, typename Rows>
void add_products(
    int n_rows, float * const * sums, const float * const * weights, const Rows & matrix, int64_t column,
    int64_t depth, const lookahead & next) {
    switch (n_rows) {
        case 6: return add_products<6, width>(sums, weights, matrix, column, depth, next);
        case 5: return add_products<5, width>(sums, weights, matrix, column, depth, next);
        case 4: return add_products<4, width>(sums, weights, matrix, column, depth, next);
        case 3: return add_products<3, width>(sums, weights, matrix, column, depth, next);
        case 2: return add_products<2, width>(sums, weights, matrix, column, depth, next);
        case 1: return add_products<1, width>(sums, weights, matrix, column, depth, next);
    }
}

// The same for any number of rows and any multiple of sixteen columns.
template <typename Rows>
void add_products(
    int n_rows, int64_t n_columns, float * const * sums, const float * const * weights, const Rows & matrix,
    int64_t depth, const lookahead & next = {}) {
    for (int r = 0; r < n_rows; r += WIDE) {
        const int  n    = std::min(WIDE, n_rows - r);
        int64_t    c    = 0;
        const auto once = [&] { return r + c == 0 ? next : lookahead(); };
        for (; c + TILE_CELLS <= n_columns; c += TILE_CELLS) {
            add_products<PANEL>(n, sums + r, weights + r, matrix, c, depth, once());
        }
        for (; c < n_columns; c += LANES) {
            add_products<1>(n, sums + r, weights + r, matrix, c, depth, once());
        }
    }
}

// Sixteen registers of sixteen: rows become columns.
PYL_IN_REGISTERS void transpose(__m512 * x) {
    __m512 t[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i]     = _mm512_unpacklo_ps(x[i], x[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        for (int j = 0; j < 2; ++j) {
            const __m512d a  = _mm512_castps_pd(t[i + j]);
            const __m512d b  = _mm512_castps_pd(t[i + j + 2]);
            x[i + 2 * j]     = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            x[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    for (int i = 0; i < 4; ++i) {
        const __m512 a = _mm512_shuffle_f32x4(x[i], x[i + 4], 0x88);
        const __m512 b = _mm512_shuffle_f32x4(x[i], x[i + 4], 0xDD);
        const __m512 c = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0x88);
        const __m512 d = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0xDD);
        t[i]           = _mm512_shuffle_f32x4(a, c, 0x88);
        t[i + 4]       = _mm512_shuffle_f32x4(b, d, 0x88);
        t[i + 8]       = _mm512_shuffle_f32x4(a, c, 0xDD);
        t[i + 12]      = _mm512_shuffle_f32x4(b, d, 0xDD);
    }
    std::copy(t, t + LANES, x);
}

// block[i] = element d+i of sixteen keys; cells after the last repeat it.
template <typename Rows>
PYL_IN_REGISTERS void turn_block(__m512 * block, const Rows & keys, int64_t d, int cell, int n_cells) {
    for (int i = 0; i < LANES; ++i) {
        block[i] = keys.load(std::min(cell + i, n_cells - 1), d);
    }
    transpose(block);
}

// scores[r][cell] = queries[r] . keys[cell] for a block of sixteen cells, of which there are n_cells, with
// the keys turned round on the way: a few queries need them but once. The sums are made in the same order
// as those of many queries, to the last bit.
template <int n_rows, typename Rows>
void score_block(
    float * const * scores, const float * const * queries, const Rows & keys, int64_t dk, int n_cells,
    const lookahead & next) {
    __m512 sums[n_rows];
    for (auto & sum : sums) {
        sum = _mm512_setzero_ps();
    }
    for (int64_t d = 0; d < dk; d += LANES) {
        next.fetch(0, d, dk);
        __m512 block[LANES];
        turn_block(block, keys, d, 0, n_cells);
        for (int i = 0; i < LANES; ++i) {
            for (int r = 0; r < n_rows; ++r) {
                sums[r] = _mm512_fmadd_ps(_mm512_set1_ps(queries[r][d + i]), block[i], sums[r]);
            }
        }
    }
    for (int r = 0; r < n_rows; ++r) {
        _mm512_storeu_ps(scores[r], sums[r]);
    }
}

template <typename Rows>
void score_block(
    int n_rows, float * const * scores, const float * const * queries, const Rows & keys, int64_t dk,
    int n_cells, const lookahead & next) {
    switch (n_rows) {
        case 8: return score_block<8>(scores, queries, keys, dk, n_cells, next);
        case 7: return score_block<7>(scores, queries, keys, dk, n_cells, next);
        case 6: return score_block<6>(scores, queries, keys, dk, n_cells, next);
        case 5: return score_block<5>(scores, queries, keys, dk, n_cells, next);
        case 4: return score_block<4>(scores, queries, keys, dk, n_cells, next);
        case 3: return score_block<3>(scores, queries, keys, dk, n_cells, next);
        case 2: return score_block<2>(scores, queries, keys, dk, n_cells, next);
        case 1: return score_block<1>(scores, queries, keys, dk, n_cells, next);
    }
}

// across[d][cell] = keys[cell][d]
template <typename Rows>
void turn_keys(float * across, const Rows & keys, int64_t dk, int n_cells, const lookahead & next) {
    for (int cell = 0; cell < TILE_CELLS; cell += LANES) {
        for (int64_t d = 0; d < dk; d += LANES) {
            next.fetch(cell, d, dk);
            __m512 block[LANES];
            turn_block(block, keys, d, cell, n_cells);
            for (int i = 0; i < LANES; ++i) {
                _mm512_storeu_ps(across + (d + i) * TILE_CELLS + cell, block[i]);
            }
        }
    }
}

template <typename Rows> void widen(float * wide, const Rows & values, int64_t dv, int n_cells) {
    for (int cell = 0; cell < n_cells; ++cell) {
        for (int64_t d = 0; d < dv; d += LANES) {
            _mm512_storeu_ps(wide + cell * dv + d, values.load(cell, d));
        }
    }
}

// Whether all are numbers.
template <typename Rows> bool are_finite(const Rows & values, int64_t dv, int n_cells) {
    // Zero times a number is zero, and times anything else is none, which stays in a sum.
    __m512 sum = _mm512_setzero_ps();
    for (int cell = 0; cell < n_cells; ++cell) {
        for (int64_t d = 0; d < dv; d += LANES) {
            sum = _mm512_fmadd_ps(values.load(cell, d), _mm512_setzero_ps(), sum);
        }
    }
    return _mm512_reduce_add_ps(sum) == 0.0F;
}

// sums[...] += weights[cell] * values[cell][...] over the cells that are not masked: as add_products(), to
// the last bit, where all are numbers.
template <typename Rows>
void add_seen(
    float * sums, const float * weights, const half * mask, const Rows & values, int64_t dv, int n_cells) {
    for (int cell = 0; cell < n_cells; ++cell) {
        for (int64_t d = 0; mask[cell] != MASKED && d < dv; d += LANES) {
            const __m512 weight = _mm512_set1_ps(weights[cell]);
            _mm512_storeu_ps(sums + d, _mm512_fmadd_ps(weight, values.load(cell, d), load(sums + d)));
        }
    }
}

// ALiBi: how strongly the mask, which holds distances, weighs for a head.
inline float slope(const ggml_tensor * op, int64_t head) {
    float max_bias;
    std::memcpy(&max_bias, op->op_params + 1, sizeof(max_bias));
    if (max_bias <= 0.0F) {
        return 1.0F;
    }
    const float n_power = std::exp2(std::floor(std::log2(float(op->src[0]->ne[2]))));
    const float h       = float(head);
    return h < n_power ? std::exp2(-max_bias / n_power * (h + 1.0F))
                       : std::exp2(-max_bias / 2.0F / n_power * (2.0F * (h - n_power) + 1.0F));
}

// The running softmax of one query, which sees some of the cells: scores become weights, relative to the
// greatest score so far. Returns by what the outputs so far are to be multiplied.
inline float weigh(float * scores, const half * mask, float slope, int n_cells, float & most, float & sum) {
    const __m512 nothing = _mm512_set1_ps(-INFINITY);
    __m512       x[PANEL];
    __m512       top = nothing;
    for (int j = 0; j < PANEL; ++j) {
        const int n    = std::clamp(n_cells - j * LANES, 0, LANES);
        __mmask16 seen = __mmask16((1U << n) - 1);
        x[j]           = load(scores + j * LANES);
        if (mask != nullptr) {
            const __m256i bits = _mm256_maskz_loadu_epi16(seen, mask + j * LANES);
            x[j]               = _mm512_fmadd_ps(_mm512_cvtph_ps(bits), _mm512_set1_ps(slope), x[j]);
            seen               = _mm256_mask_cmpneq_epi16_mask(seen, bits, _mm256_set1_epi16(short(MASKED)));
        }
        // Put in their place, not added: a masked cell's score may be no number.
        x[j] = _mm512_mask_blend_ps(seen, nothing, x[j]);
        top  = _mm512_max_ps(top, x[j]);
    }
    // A number even where no score is one, so that these differ from cells that are not seen.
    constexpr float lowest   = std::numeric_limits<float>::lowest();
    const float     new_most = std::max(std::max(most, lowest), _mm512_reduce_max_ps(top));
    const float     factor   = new_most > most ? std::exp(most - new_most) : 1.0F;
    __m512          total    = _mm512_setzero_ps();
    for (int j = 0; j < PANEL; ++j) {
        const __m512 weight = exp_negative(_mm512_sub_ps(x[j], _mm512_set1_ps(new_most)));
        total               = _mm512_add_ps(total, weight);
        _mm512_storeu_ps(scores + j * LANES, weight);
    }
    most = new_most;
    sum  = sum * factor + _mm512_reduce_add_ps(total);
    return factor;
}

inline void multiply(float * x, int64_t n, float factor) {
    for (int64_t i = 0; i < n; i += LANES) {
        _mm512_storeu_ps(x + i, _mm512_mul_ps(load(x + i), _mm512_set1_ps(factor)));
    }
}

// The greatest score and the sum of weights follow a query's outputs.
inline void clear_part(float * part, int64_t dv) {
    std::fill_n(part, dv + LANES, 0.0F);
    part[dv] = -INFINITY;
}

// What all cells before gave, and what a stretch gave.
inline void add_part(float * all, const float * part, int64_t dv) {
    const float most = std::max(all[dv], part[dv]);
    if (part[dv] == -INFINITY) {
        return;
    }
    const float old_share = std::exp(all[dv] - most);
    const float new_share = std::exp(part[dv] - most);
    for (int64_t i = 0; i < dv; i += LANES) {
        const __m512 old = _mm512_mul_ps(load(all + i), _mm512_set1_ps(old_share));
        _mm512_storeu_ps(all + i, _mm512_fmadd_ps(load(part + i), _mm512_set1_ps(new_share), old));
    }
    all[dv]     = most;
    all[dv + 1] = all[dv + 1] * old_share + part[dv + 1] * new_share;
}

// The operation's output for a query. A sink takes its share of the weights, and gives nothing.
inline void write_output(
    const ggml_tensor * op, const attention_plan & plan, int64_t index, const float * all) {
    const int64_t n_kv_heads = op->src[1]->ne[2];
    const int64_t group      = op->src[0]->ne[2] / n_kv_heads;
    const int64_t dv         = op->src[2]->ne[0];
    const int64_t pair       = index / plan.n_queries;
    const int64_t query      = index % plan.n_queries;
    const int64_t head       = pair % n_kv_heads * group + query % group;
    auto * const  output     = reinterpret_cast<float *>(
        static_cast<char *>(op->data) + head * op->nb[1] + query / group * op->nb[2] +
        pair / n_kv_heads * op->nb[3]);

    float share = 1.0F;
    float sum   = all[dv + 1];
    if (op->src[4] != nullptr) {
        const float sink = static_cast<const float *>(op->src[4]->data)[head];
        const float most = std::max(all[dv], sink);
        share            = std::exp(all[dv] - most);
        sum              = sum * share + std::exp(sink - most);
    }
    const float factor = sum == 0.0F ? 0.0F : share / sum;
    for (int64_t i = 0; i < dv; i += LANES) {
        _mm512_storeu_ps(output + i, _mm512_mul_ps(load(all + i), _mm512_set1_ps(factor)));
    }
}

}  // namespace pyl::kernels::avx512
