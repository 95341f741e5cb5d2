// Compiled for AVX-512; called only where the processor has it.

#include "attention_tile_avx512.h"

#include "attention_math_avx512.h"

#include <cstring>

namespace pyl::kernels {

namespace avx512 {

tile::tile(const ggml_tensor * op, const attention_plan & plan, int64_t unit, float * scratch)
    : op_(op), plan_(plan) {
    const ggml_tensor * q = op->src[0];
    dk_                   = op->src[1]->ne[0];
    dv_                   = op->src[2]->ne[0];
    part_                 = part_floats(op);
    group_                = q->ne[2] / op->src[1]->ne[2];
    split_                = unit % plan.n_splits;
    first_                = unit / plan.n_splits % plan.n_tiles * TILE_QUERIES;
    const int64_t bundle  = unit / plan.n_splits / plan.n_tiles;
    kv_head_              = bundle % plan.n_bundles * plan.n_heads;
    stream_               = bundle / plan.n_bundles;
    n_                    = int(std::min<int64_t>(TILE_QUERIES, plan.n_queries - first_));
    n_heads_              = int(std::min(plan.n_heads, op->src[1]->ne[2] - kv_head_));

    const int n_all = n_ * n_heads_;
    queries_        = scratch + plan.scratch.queries;
    outputs_        = scratch + plan.scratch.outputs;
    before_         = scratch + plan.scratch.before;
    scores_         = scratch + plan.scratch.scores;
    across_         = scratch + plan.scratch.across;
    wide_           = scratch + plan.scratch.wide;
    order_          = reinterpret_cast<int32_t *>(scratch + plan.scratch.order);
    masks_          = reinterpret_cast<half *>(scratch + plan.scratch.masks);
    keys_           = cache_of(op->src[1], scratch + plan.scratch.keys);
    values_         = cache_of(op->src[2], scratch + plan.scratch.values);

    float scale;
    std::memcpy(&scale, op->op_params, sizeof(scale));
    for (int j = 0; j < n_all; ++j) {
        const int    i     = j % n_;
        const auto * query = reinterpret_cast<const float *>(
            static_cast<const char *>(q->data) + row(i) * q->nb[1] + head(j / n_, i) * q->nb[2] +
            stream_ * q->nb[3]);
        for (int64_t d = 0; d < dk_; d += LANES) {
            _mm512_storeu_ps(queries_ + j * dk_ + d, _mm512_mul_ps(load(query + d), _mm512_set1_ps(scale)));
        }
        clear_part(outputs_ + j * part_, dv_);
        clear_part(before_ + j * part_, dv_);
    }
}

const char * tile::cells(const cache & cache, int h, int64_t cell) const {
    const ggml_tensor * t = cache.tensor;
    return static_cast<const char *>(t->data) + cell * t->nb[1] + (kv_head_ + h) * t->nb[2] +
           stream_ * t->nb[3];
}

const half * tile::mask(int i, int64_t cell) const {
    const ggml_tensor * m = op_->src[3];
    return m == nullptr ? nullptr
                        : reinterpret_cast<const half *>(
                              static_cast<const char *>(m->data) + row(i) * m->nb[1] +
                              stream_ % m->ne[3] * m->nb[3] + cell * int64_t(sizeof(half)));
}

const half * tile::mask(int i, const span & span) const {
    return span.is_copied ? masks_ + (row(i) - row(0)) * TILE_CELLS : mask(i, span.first);
}

views tile::all_views() const {
    return {op_, mask(0, 0), int(row(n_ - 1) - row(0)) + 1, order_};
}

// The cells of a tile that begins with the view's cell `first`.
tile::span tile::find(const view & view, int64_t first, int64_t end) {
    const int n = int(std::min<int64_t>(TILE_CELLS, end - first));
    if (!view.is_ordered) {
        return {view.first + first, n, false};
    }
    const int32_t * order   = order_ + first;
    const bool      is_copy = order[n - 1] - order[0] != n - 1;
    if (is_copy) {
        copy(view, order, n);
    }
    return {order[0], n, is_copy};
}

void tile::copy(const view & view, const int32_t * order, int n) {
    for (int c = 0; c < n; ++c) {
        for (int h = 0; h < n_heads_; ++h) {
            for (const cache & cache : {keys_, values_}) {
                std::copy_n(
                    cells(cache, h, order[c]), cache.bytes,
                    cache.copies + (h * TILE_CELLS + c) * cache.bytes);
            }
        }
        for (int r = view.from; r < view.to; ++r) {
            masks_[r * TILE_CELLS + c] = *mask(query(r), order[c]);
        }
    }
}

// All heads of a row see the same.
tile::viewers tile::find_active(const view & view, const span & span) const {
    viewers      found;
    const half * last = nullptr;
    int          n    = span.n;
    for (int i = query(view.from); i < query(view.to); ++i) {
        const half * its = mask(i, span);
        if (its != last) {
            n    = n_seen(its, span.n);
            last = its;
        }
        if (n > 0) {
            found.queries[found.n++] = i;
            found.see_all            = found.see_all && n == span.n;
        }
    }
    return found;
}

tile::rows tile::rows_of(int h, const viewers & active, int cell) const {
    rows found;
    for (int a = 0; a < active.n; ++a) {
        const int j      = h * n_ + active.queries[a];
        found.queries[a] = queries_ + j * dk_;
        found.scores[a]  = scores_ + j * TILE_CELLS + cell;
        found.outputs[a] = outputs_ + j * part_;
    }
    return found;
}

// Head h's part of a span, from one of its cells on.
template <typename Rows> Rows tile::cells_in(const cache & cache, int h, const span & span, int cell) const {
    return span.is_copied ? Rows{cache.copies + (h * TILE_CELLS + cell) * cache.bytes, cache.bytes}
                          : Rows{cells(cache, h, span.first + cell), int64_t(cache.tensor->nb[1])};
}

// What head h asks for of a block that is read next, by all heads: where the heads of all cells lie side
// by side, its part of the whole, else its own cells.
lookahead tile::ahead(const cache & cache, int h, int64_t cell) const {
    const ggml_tensor * t         = cache.tensor;
    const auto          stride    = int64_t(t->nb[1]);
    const bool          is_stream = stride == cache.bytes * n_heads_;
    const char *        start     = cells(cache, 0, cell);
    return is_stream ? lookahead{start + h * LANES * cache.bytes, cache.bytes, cache.bytes, stride * LANES}
                     : lookahead{start + h * int64_t(t->nb[2]), stride, cache.bytes, stride * LANES};
}

// A tile of head h's own cells, and the one after it.
lookahead tile::cells_of(const cache & cache, int h, int64_t cell) const {
    const auto stride = int64_t(cache.tensor->nb[1]);
    return {cells(cache, h, cell), stride, cache.bytes, stride * TILE_CELLS};
}

// Scores of head h of the KV heads become weights; outputs so far are brought to their scale.
void tile::weigh(int h, const span & span, const viewers & active) {
    const rows rows = rows_of(h, active);
    for (int a = 0; a < active.n; ++a) {
        const int   i      = active.queries[a];
        float *     output = rows.outputs[a];
        const float factor = avx512::weigh(
            rows.scores[a], mask(i, span), slope(op_, head(h, i)), span.n, output[dv_], output[dv_ + 1]);
        if (factor != 1.0F) {
            multiply(output, dv_, factor);
        }
    }
}

// Adds up head h's values query by query, where some do not see all of them and these are not all numbers:
// what is masked has no weight, but zero times infinity is not zero. Elsewhere false, and nothing is done.
template <typename Values> bool tile::add_apart(int h, const span & span, const viewers & active) {
    const auto values = cells_in<Values>(values_, h, span);
    if (active.see_all || are_finite(values, dv_, span.n)) {
        return false;
    }
    const rows rows = rows_of(h, active);
    for (int a = 0; a < active.n; ++a) {
        add_seen(rows.outputs[a], rows.scores[a], mask(active.queries[a], span), values, dv_, span.n);
    }
    return true;
}

// Block by block the keys of all heads, then the values of all: while one block is worked on, in the
// nearest cache, memory brings the next.
template <typename Keys, typename Values>
void tile::run_few(const span & span, const viewers & active) {
    for (int cell = 0; cell < span.n; cell += LANES) {
        const int64_t following = span.first + cell + LANES;
        const bool    is_last   = cell + LANES >= span.n;
        for (int h = 0; h < n_heads_; ++h) {
            const rows      rows = rows_of(h, active, cell);
            const lookahead next = is_last ? ahead(values_, h, span.first) : ahead(keys_, h, following);
            score_block(
                active.n, rows.scores, rows.queries, cells_in<Keys>(keys_, h, span, cell), dk_, span.n - cell,
                next);
        }
    }
    bool is_apart[TILE_QUERIES];
    for (int h = 0; h < n_heads_; ++h) {
        weigh(h, span, active);
        is_apart[h] = add_apart<Values>(h, span, active);
    }
    for (int cell = 0; cell < span.n; cell += LANES) {
        const int64_t following = span.first + cell + LANES;
        const bool    is_last   = cell + LANES >= span.n;
        for (int h = 0; h < n_heads_; ++h) {
            const rows      rows = rows_of(h, active, cell);
            const lookahead next = ahead(is_last ? keys_ : values_, h, following);
            if (!is_apart[h]) {
                add_products(
                    active.n, dv_, rows.outputs, rows.scores, cells_in<Values>(values_, h, span, cell),
                    std::min(LANES, span.n - cell), next);
            }
        }
    }
}

// Head by head. While its keys are turned round memory brings its values, and while these are added up the
// keys of the head after it.
template <typename Keys, typename Values>
void tile::run_many(const span & span, const viewers & active) {
    const float_rows across{reinterpret_cast<char *>(across_), TILE_CELLS * sizeof(float)};
    const float_rows wide{reinterpret_cast<char *>(wide_), dv_ * int64_t(sizeof(float))};
    for (int h = 0; h < n_heads_; ++h) {
        const rows rows    = rows_of(h, active);
        const bool is_last = h + 1 == n_heads_;
        turn_keys(across_, cells_in<Keys>(keys_, h, span), dk_, span.n, cells_of(values_, h, span.first));
        for (int a = 0; a < active.n; ++a) {
            std::fill_n(rows.scores[a], TILE_CELLS, 0.0F);
        }
        add_products(active.n, TILE_CELLS, rows.scores, rows.queries, across, dk_);
        weigh(h, span, active);
        if (add_apart<Values>(h, span, active)) {
            continue;
        }
        widen(wide_, cells_in<Values>(values_, h, span), dv_, span.n);
        add_products(
            active.n, dv_, rows.outputs, rows.scores, wide, span.n,
            is_last ? cells_of(keys_, 0, span.first + TILE_CELLS) : cells_of(keys_, h + 1, span.first));
    }
}

template <typename Keys, typename Values>
void tile::run(const span & span, const viewers & active) {
    if (active.n > FEW) {
        run_many<Keys, Values>(span, active);
    } else if (active.n > 0) {
        run_few<Keys, Values>(span, active);
    }
}

void tile::run_stretch(const view & view, int64_t stretch) {
    const int64_t end = std::min((stretch + 1) * STRETCH, view.n);
    for (int64_t first = stretch * STRETCH; first < end; first += TILE_CELLS) {
        const span    span   = find(view, first, end);
        const viewers active = find_active(view, span);
        if (values_.is_q8_0) {
            keys_.is_q8_0 ? run<q8_0_rows, q8_0_rows>(span, active)
                          : run<half_rows, q8_0_rows>(span, active);
        } else {
            keys_.is_q8_0 ? run<q8_0_rows, half_rows>(span, active)
                          : run<half_rows, half_rows>(span, active);
        }
    }
}

// The place of query j of the tile among those of all KV heads of all streams.
int64_t tile::index(int j) const {
    const int64_t pair = stream_ * op_->src[1]->ne[2] + kv_head_ + j / n_;
    return pair * plan_.n_queries + first_ + j % n_;
}

void tile::run_all() {
    all_views().for_each([&](const view & view) {
        for (int64_t stretch = view.begin; stretch < view.end; ++stretch) {
            run_stretch(view, stretch);
            for (int j = 0; j < n_ * n_heads_; ++j) {
                if (query(view.from) <= j % n_ && j % n_ < query(view.to)) {
                    add_part(before_ + j * part_, outputs_ + j * part_, dv_);
                    clear_part(outputs_ + j * part_, dv_);
                }
            }
        }
    });
    for (int j = 0; j < n_ * n_heads_; ++j) {
        write_output(op_, plan_, index(j), before_ + j * part_);
    }
}

void tile::run_split(float * partials) {
    all_views().for_each([&](const view & view) {
        if (view.begin <= split_ && split_ < view.end) {
            run_stretch(view, split_);
        }
    });
    for (int j = 0; j < n_ * n_heads_; ++j) {
        std::copy_n(outputs_ + j * part_, part_, partials + (index(j) * plan_.n_splits + split_) * part_);
    }
}

}  // namespace avx512

using namespace avx512;

void attention_unit_avx512(
    const ggml_tensor * op, const attention_plan & plan, int64_t unit, float * scratch, float * partials) {
    tile work(op, plan, unit, scratch);
    if (plan.n_splits == 1) {
        work.run_all();
    } else {
        work.run_split(partials);
    }
}

void attention_merge_avx512(
    const ggml_tensor * op, const attention_plan & plan, int64_t index, float * partials) {
    const int64_t dv    = op->src[2]->ne[0];
    const int64_t size  = part_floats(op);
    float *       first = partials + index * plan.n_splits * size;
    for (int64_t s = 1; s < plan.n_splits; ++s) {
        add_part(first, first + s * size, dv);
    }
    write_output(op, plan, index, first);
}

}  // namespace pyl::kernels
