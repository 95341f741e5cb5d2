// Attention over a KV cache of 16-bit cells or of Q8_0, for few and for many query rows.

#pragma once

#include "ggml.h"

#include <cstddef>
#include <cstdint>

namespace pyl::kernels {

// Cells that are scored, weighed and added at a time.
constexpr int TILE_CELLS = 64;
// Queries that share a tile of cells: rows times the heads that read the same keys.
constexpr int TILE_QUERIES = 64;

// Cells whose outputs are added up before they join those of the cells before. Fixed, so that a
// query's result does not depend on what is computed beside it, nor on the number of threads. In a pool
// that several sequences share, the cells that a sequence sees are counted, so that it does not depend
// either on where they are.
constexpr int STRETCH = 256;

// Where a thread's scratch memory holds what a tile works on: floats from its start, each place aligned to 64
// bytes. The last four are for a pool's cells that lie apart: their numbers, and copies.
struct attention_scratch {
    size_t queries, outputs, before, scores, across, wide, order, masks, keys, values;
    size_t size = 0;
};

// How one GGML_OP_FLASH_ATTN_EXT is cut into units of work, of which any thread takes any.
//
// A unit is a tile of queries of one stream. Where a KV head has many queries, as in prompts, they are
// its alone. Where it has few, as when decoding, a unit takes several KV heads: their keys lie side by
// side in memory, and are read in that order. Where there are too few units for the threads, each takes
// one stretch of the cells, and what the stretches gave is merged afterwards.
struct attention_plan {
    int64_t n_queries;  // per KV head and stream: rows times heads of the group
    int64_t n_tiles;    // of queries
    int64_t n_heads;    // KV heads of a unit
    int64_t n_bundles;  // of KV heads
    int64_t n_splits;   // stretches that are units of their own; 1 where a unit takes them all
    int64_t n_units;

    attention_scratch scratch;         // of one thread
    size_t            partial_floats;  // of all units together: none where n_splits is 1

    attention_plan(const ggml_tensor * op, int n_threads);
};

// Whether the kernel computes this operation.
bool is_attention_supported(const ggml_tensor * op);

// One unit. Where the stretches are units, its outputs go to `partials`, which has plan.partial_floats;
// else they are the operation's. `scratch` has plan.scratch.size. Both are aligned to 64 bytes.
void attention_unit_avx512(
    const ggml_tensor * op, const attention_plan & plan, int64_t unit, float * scratch, float * partials);

// After all units of an operation with n_splits > 1: the output of one query of plan.n_queries of all KV
// heads of all streams.
void attention_merge_avx512(
    const ggml_tensor * op, const attention_plan & plan, int64_t index, float * partials);

// A query's outputs, not yet divided by the sum of its weights, then the greatest score, then that sum,
// relative to it; in whole registers.
inline int64_t part_floats(const ggml_tensor * op) {
    return op->src[2]->ne[0] + 16;
}

}  // namespace pyl::kernels
