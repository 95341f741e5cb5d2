// A unit of attention's work. For sources that are compiled for AVX-512.

#pragma once

#include "attention.h"
#include "attention_rows_avx512.h"
#include "attention_views_avx512.h"

#include <algorithm>

namespace pyl::kernels::avx512 {

// A tile of queries on its way over a stretch of cells. Queries are numbered by row, and within a row
// by head; those of the tile's second KV head follow those of its first.
class tile {
  public:
    tile(const ggml_tensor * op, const attention_plan & plan, int64_t unit, float * scratch);

    // Over all cells, into the operation's output.
    void run_all();
    // Over one stretch, into the partial outputs.
    void run_split(float * partials);

  private:
    const ggml_tensor *    op_;
    const attention_plan & plan_;
    int64_t                split_, first_, kv_head_, stream_, group_, dk_, dv_, part_;
    int                    n_;  // queries of a KV head
    int                    n_heads_;
    float *                queries_;
    float *                outputs_;  // of this stretch
    float *                before_;   // of those before it
    float *                scores_;
    float *                across_;
    float *                wide_;

    // Where a pool's sequences lie apart: the cells that one sees, in order, and copies of a tile of them.
    int32_t * order_;
    half *    masks_;

    // Keys or values: the bytes of one head's in a cell, and the copies.
    struct cache {
        const ggml_tensor * tensor;
        int64_t             bytes;
        char *              copies;
        bool                is_q8_0;
    } keys_, values_;

    // n cells from `first` on, or copies of such as lie apart.
    struct span {
        int64_t first;
        int     n;
        bool    is_copied;
    };

    // Queries that see any cells of a span, and whether each sees all of them.
    struct viewers {
        int  n       = 0;
        bool see_all = true;
        int  queries[TILE_QUERIES];
    };

    // The queries of a KV head that are at work on a span, from one of its cells on: where their parts lie.
    struct rows {
        const float * queries[TILE_QUERIES];
        float *       scores[TILE_QUERIES];
        float *       outputs[TILE_QUERIES];
    };

    int64_t head(int h, int i) const { return (kv_head_ + h) * group_ + (first_ + i) % group_; }
    int64_t row(int i) const { return (first_ + i) / group_; }
    int     query(int row) const { return int(std::clamp<int64_t>(row * group_ - first_ % group_, 0, n_)); }
    int64_t n_cells() const { return op_->src[1]->ne[1]; }

    static cache cache_of(const ggml_tensor * t, float * copies) {
        return {
            t, int64_t(ggml_row_size(t->type, t->ne[0])), reinterpret_cast<char *>(copies),
            t->type == GGML_TYPE_Q8_0};
    }

    const char * cells(const cache & cache, int h, int64_t cell) const;
    const half * mask(int i, int64_t cell) const;
    const half * mask(int i, const span & span) const;
    int64_t      index(int j) const;
    views        all_views() const;
    span         find(const view & view, int64_t first, int64_t end);
    void         copy(const view & view, const int32_t * order, int n);
    viewers      find_active(const view & view, const span & span) const;
    rows         rows_of(int h, const viewers & active, int cell = 0) const;
    lookahead    cells_of(const cache & cache, int h, int64_t cell) const;
    lookahead    ahead(const cache & cache, int h, int64_t cell) const;
    void         weigh(int h, const span & span, const viewers & active);
    void         run_stretch(const view & view, int64_t stretch);

    template <typename Rows> Rows cells_in(const cache & cache, int h, const span & span, int cell = 0) const;
    template <typename Values> bool add_apart(int h, const span & span, const viewers & active);
    template <typename Keys, typename Values> void run(const span & span, const viewers & active);
    template <typename Keys, typename Values>
    void run_few(const span & span, const viewers & active);
    template <typename Keys, typename Values>
    void run_many(const span & span, const viewers & active);
};

}  // namespace pyl::kernels::avx512
