// Which cells the rows of a tile see. For sources that are compiled for AVX-512.

#pragma once

#include "attention_mask_avx512.h"

namespace pyl::kernels::avx512 {

// Rows from..to of a tile that see the same cells but for the last ones, and their stretches begin..end of
// these: n cells from `first` on, or those that the order names.
struct view {
    int     from, to;
    int64_t begin, end;
    int64_t first, n;
    bool    is_ordered;
};

// Where each sequence has its cells for itself, from the first on, a tile's rows are one view. In a pool the
// cells that a sequence sees are counted, since where they are is chance. Sequences that share a beginning
// are a view together for the whole stretches of it, and of their own after that: so their rows meet the
// same cells in the same stretches as they would alone.
class views {
  public:
    // `masks` is the mask of the first row; `order` has room for all cells, and sixteen more.
    views(const ggml_tensor * op, const half * masks, int n_rows, int32_t * order);

    // Calls run(view), for a row's stretches in order.
    template <typename Run> void for_each(Run && run) const;

  private:
    const half * masks_;
    int64_t      stride_, n_cells_;
    int          n_rows_;
    int32_t *    order_;
    bool         is_pool_;

    const half * mask(int row) const { return masks_ + row * stride_; }
    bool         continues(int row) const;
    bool         is_sliding() const;
    int          end_of_sequence(int from, int to) const;
    int          end_of_beginning(int from) const;
    view         list(int from, int to, int64_t & n_common) const;
};

inline views::views(const ggml_tensor * op, const half * masks, int n_rows, int32_t * order)
    : masks_(masks), n_cells_(op->src[1]->ne[1]), n_rows_(n_rows), order_(order) {
    const ggml_tensor * k    = op->src[1];
    const ggml_tensor * pool = k->view_src != nullptr ? k->view_src : k;
    stride_                  = masks == nullptr ? 0 : int64_t(op->src[3]->nb[1] / sizeof(half));
    is_pool_                 = masks != nullptr && pool->ne[2] == 1 && k->ne[3] == 1 && !is_sliding();
}

// Whether a row goes on where the row before it ends: it sees that one's last cell.
inline bool views::continues(int row) const {
    const int64_t last = last_seen(mask(row - 1), n_cells_);
    return last >= 0 && mask(row)[last] != MASKED;
}

// Whether a window slides over the cells: then each row begins to see them one later than the last.
inline bool views::is_sliding() const {
    for (int row = 1; row < n_rows_; ++row) {
        if (first_seen(mask(row), n_cells_) == first_seen(mask(row - 1), n_cells_) + 1 && continues(row)) {
            return true;
        }
    }
    return false;
}

inline int views::end_of_sequence(int from, int to) const {
    int end = from + 1;
    while (end < to && continues(end)) {
        ++end;
    }
    return end;
}

inline int views::end_of_beginning(int from) const {
    const int64_t first = first_seen(mask(from), n_cells_);
    int           end   = from + 1;
    while (end < n_rows_ && first_seen(mask(end), n_cells_) == first) {
        ++end;
    }
    return end;
}

// The cells that any of the rows sees; n_common of them, the first ones, are seen by all.
inline view views::list(int from, int to, int64_t & n_common) const {
    const int64_t first    = first_seen(mask(from), n_cells_);
    int64_t       n        = 0;
    bool          is_equal = true;
    n_common               = 0;
    for (int64_t cell = first / LANES * LANES; cell < n_cells_; cell += LANES) {
        const int n_here = int(std::min<int64_t>(LANES, n_cells_ - cell));
        uint32_t  any    = 0;
        uint32_t  all    = ~0U;
        for (int row = from; row < to; ++row) {
            const uint32_t seen = seen_among(mask(row) + cell, n_here);
            any |= seen;
            all &= seen;
        }
        if (is_equal) {
            const uint32_t differs = any & ~all;
            n_common += __builtin_popcount(any & ((differs & -differs) - 1));
            is_equal = differs == 0;
        }
        n += append(order_ + n, cell, any);
    }
    const bool is_ordered = n > 0 && order_[n - 1] - first != n - 1;
    return {from, to, 0, (n + STRETCH - 1) / STRETCH, first, n, is_ordered};
}

template <typename Run> void views::for_each(Run && run) const {
    if (!is_pool_) {
        run(view{0, n_rows_, 0, (n_cells_ + STRETCH - 1) / STRETCH, 0, n_cells_, false});
        return;
    }
    for (int from = 0; from < n_rows_;) {
        const int to       = end_of_beginning(from);
        int64_t   n_common = 0;
        int64_t   shared   = 0;
        if (end_of_sequence(from, to) < to) {
            view together = list(from, to, n_common);
            shared = together.end = n_common / STRETCH;
            run(together);
        }
        while (from < to) {
            view own  = list(from, end_of_sequence(from, to), n_common);
            own.begin = shared;
            run(own);
            from = own.to;
        }
    }
}

}  // namespace pyl::kernels::avx512
