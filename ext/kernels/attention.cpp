#include "attention.h"

#include <algorithm>
#include <cstring>

namespace pyl::kernels {

namespace {

// Units per thread: enough that a thread with shorter ones takes more of them.
constexpr int64_t UNITS_PER_THREAD = 4;
// Partial outputs take no more memory than this: a few rows against very many cells are not cut.
constexpr int64_t MAX_PARTIAL_FLOATS = int64_t(8) << 20;

int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

bool is_row_of(const ggml_tensor * tensor, ggml_type type) {
    return tensor->type == type && tensor->nb[0] == ggml_type_size(type) && tensor->ne[0] % 16 == 0;
}

// ggml keeps whole blocks in a row.
bool is_cache(const ggml_tensor * tensor) {
    return is_row_of(tensor, GGML_TYPE_F16) || is_row_of(tensor, GGML_TYPE_Q8_0);
}

}  // namespace

attention_plan::attention_plan(const ggml_tensor * op, int n_threads) {
    const ggml_tensor * q  = op->src[0];
    const ggml_tensor * k  = op->src[1];
    const int64_t       dk = k->ne[0];
    const int64_t       dv = op->src[2]->ne[0];

    n_queries = q->ne[1] * (q->ne[2] / k->ne[2]);
    n_tiles   = divide_up(n_queries, TILE_QUERIES);
    n_heads   = std::clamp<int64_t>(TILE_QUERIES / n_queries, 1, k->ne[2]);
    n_bundles = divide_up(k->ne[2], n_heads);

    const int64_t n_whole     = n_tiles * n_bundles * q->ne[3];
    const int64_t n_stretches = std::max<int64_t>(1, divide_up(k->ne[1], STRETCH));
    const int64_t n_parts     = k->ne[2] * q->ne[3] * n_queries * n_stretches;
    const bool    is_cut      = n_threads > 1 && n_whole < UNITS_PER_THREAD * n_threads &&
                        n_parts * part_floats(op) <= MAX_PARTIAL_FLOATS;
    n_splits = is_cut ? n_stretches : 1;
    n_units  = n_whole * n_splits;

    const auto place = [&](int64_t floats) {
        const size_t start = scratch.size;
        scratch.size += size_t(floats);
        return start;
    };
    const int64_t n = n_heads * std::min<int64_t>(n_queries, TILE_QUERIES);
    scratch.queries = place(n * dk);
    scratch.outputs = place(n * part_floats(op));
    scratch.before  = place(n * part_floats(op));
    scratch.scores  = place(n * TILE_CELLS);
    scratch.across  = place(TILE_CELLS * dk);
    scratch.wide    = place(TILE_CELLS * dv);
    // A register's worth is written at the end, however few of its numbers count.
    scratch.order  = place(divide_up(k->ne[1], 16) * 16 + 16);
    scratch.masks  = place(TILE_QUERIES * TILE_CELLS / 2);
    scratch.keys   = place(n_heads * TILE_CELLS / 4 * int64_t(ggml_row_size(k->type, dk)));
    scratch.values = place(n_heads * TILE_CELLS / 4 * int64_t(ggml_row_size(op->src[2]->type, dv)));
    partial_floats = n_splits > 1 ? size_t(n_parts * part_floats(op)) : 0;
}

bool is_attention_supported(const ggml_tensor * op) {
    if (op->op != GGML_OP_FLASH_ATTN_EXT || ggml_is_empty(op)) {
        return false;
    }
    const ggml_tensor * q    = op->src[0];
    const ggml_tensor * k    = op->src[1];
    const ggml_tensor * v    = op->src[2];
    const ggml_tensor * mask = op->src[3];
    float               logit_softcap;
    std::memcpy(&logit_softcap, op->op_params + 2, sizeof(logit_softcap));
    return logit_softcap == 0.0F && is_row_of(q, GGML_TYPE_F32) && is_cache(k) && is_cache(v) &&
           k->ne[2] > 0 && q->ne[2] % k->ne[2] == 0 && k->ne[3] == q->ne[3] && v->ne[1] == k->ne[1] &&
           v->ne[2] == k->ne[2] && v->ne[3] == k->ne[3] &&
           (mask == nullptr || (mask->type == GGML_TYPE_F16 && mask->ne[2] == 1));
}

}  // namespace pyl::kernels
