#include "pack.h"

#include "packed.h"

#define GGML_COMMON_DECL_CPP
#include "ggml-common.h"

#include <cstring>

namespace pyl::kernels {

namespace {

void put_nibbles(nibbles & target, int row, const uint8_t * values) {
    for (int i = 0; i < GROUP / 2; ++i) {
        const int word = i / 4;
        target[word * ROWS * 4 + row * 4 + i % 4] =
            uint8_t((values[i] & 15) | (values[i + GROUP / 2] & 15) << 4);
    }
}

void put_bytes(bytes & target, int row, const uint8_t * values) {
    for (int i = 0; i < GROUP; ++i) {
        target[i / 4 * ROWS * 4 + row * 4 + i % 4] = values[i];
    }
}

// ggml keeps value i and value 16+i of 32 in one byte.
void halves_of(const uint8_t * qs, uint8_t * values) {
    for (int i = 0; i < GROUP / 2; ++i) {
        values[i]             = qs[i] & 15;
        values[i + GROUP / 2] = qs[i] >> 4;
    }
}

void put(packed_q4_0 & target, int row, const block_q4_0 & block) {
    uint8_t values[GROUP];
    halves_of(block.qs, values);
    target.d[row] = block.d;
    put_nibbles(target.q, row, values);
}

void put(packed_q4_1 & target, int row, const block_q4_1 & block) {
    uint8_t values[GROUP];
    halves_of(block.qs, values);
    target.d[row] = block.data.data.d;
    target.m[row] = block.data.data.m;
    put_nibbles(target.q, row, values);
}

void put(packed_q8_0 & target, int row, const block_q8_0 & block) {
    uint8_t values[GROUP];
    for (int i = 0; i < GROUP; ++i) {
        values[i] = uint8_t(block.qs[i] + packed_q8_0::zero);
    }
    target.d[row] = block.d;
    put_bytes(target.q, row, values);
}

// The eight 6-bit scales and mins of a k-quant, packed by ggml into twelve bytes: four pairs whole, and
// the low four bits of four more, whose high bits are on top of the first eight bytes.
void put_scale_and_min(const uint8_t * packed, int group, uint8_t & scale, uint8_t & min) {
    if (group < 4) {
        scale = packed[group] & 63;
        min   = packed[group + 4] & 63;
        return;
    }
    scale = uint8_t((packed[group + 4] & 15) | packed[group - 4] >> 6 << 4);
    min   = uint8_t(packed[group + 4] >> 4 | packed[group] >> 6 << 4);
}

// Group 2c is in the low halves of the 32 bytes c, group 2c+1 in the high ones.
uint8_t k_nibble(const uint8_t * qs, int group, int i) {
    return group % 2 == 0 ? qs[group / 2 * GROUP + i] & 15 : qs[group / 2 * GROUP + i] >> 4;
}

// What the formats of four and of five bits have in common.
template <typename Group, typename Block>
void put_low(packed_k<Group> & target, int row, const Block & block) {
    target.d[row]    = block.data.data.d;
    target.dmin[row] = block.data.data.dmin;
    for (int g = 0; g < target.n_groups; ++g) {
        Group & group = target.groups[g];
        uint8_t values[GROUP];
        for (int i = 0; i < GROUP; ++i) {
            values[i] = k_nibble(block.qs, g, i);
        }
        put_scale_and_min(block.scales, g, group.scale[row], group.min[row]);
        put_nibbles(group.q, row, values);
    }
}

void put(packed_q4_k & target, int row, const block_q4_K & block) {
    put_low(target, row, block);
}

void put(packed_q5_k & target, int row, const block_q5_K & block) {
    put_low(target, row, block);
    for (int g = 0; g < packed_q5_k::n_groups; ++g) {
        for (int i = 0; i < GROUP; ++i) {
            const uint64_t high = block.qh[i] >> g & 1;
            target.groups[g].high[i / 4] |= high << (row * 4 + i % 4);
        }
    }
}

void put(packed_q6_k & target, int row, const block_q6_K & block) {
    target.d[row] = block.d;
    for (int g = 0; g < packed_q6_k::n_groups; ++g) {
        // A half of a block, 128 values, is 64 bytes of low bits and 32 of high ones.
        const uint8_t * low   = block.ql + g / 4 * 64 + g % 2 * GROUP;
        const uint8_t * high  = block.qh + g / 4 * GROUP;
        auto &          group = target.groups[g];
        uint8_t         values[GROUP];
        for (int i = 0; i < GROUP; ++i) {
            values[i]      = g % 4 < 2 ? low[i] & 15 : low[i] >> 4;
            const int part = high[i] >> g % 4 * 2 & 3;
            const int word = i / 4;
            group.high[word % 2][row * 4 + i % 4] |= uint8_t(part << word / 2 * 2);
        }
        group.scale[0][row] = block.scales[2 * g];
        group.scale[1][row] = block.scales[2 * g + 1];
        put_nibbles(group.q, row, values);
    }
}

template <typename Packed, typename Block> struct format {
    static constexpr int64_t width = Packed::n_groups * GROUP;

    static size_t size(const ggml_tensor * weights) {
        return size_t(weights->ne[0] / width) * size_t(weights->ne[1] / ROWS) * sizeof(Packed);
    }

    static void pack(const ggml_tensor * weights, const void * source, void * target) {
        const int64_t n_blocks = weights->ne[0] / width;
        const auto *  blocks   = static_cast<const Block *>(source);
        auto *        packed   = static_cast<Packed *>(target);
        std::memset(target, 0, size(weights));
        for (int64_t row = 0; row < weights->ne[1]; ++row) {
            for (int64_t b = 0; b < n_blocks; ++b) {
                put(packed[row / ROWS * n_blocks + b], int(row % ROWS), blocks[row * n_blocks + b]);
            }
        }
    }
};

// Calls `with` with the format of a type; false where there is none.
template <typename With> bool dispatch(ggml_type type, With && with) {
    switch (type) {
        case GGML_TYPE_Q4_0: with(format<packed_q4_0, block_q4_0>()); return true;
        case GGML_TYPE_Q4_1: with(format<packed_q4_1, block_q4_1>()); return true;
        case GGML_TYPE_Q8_0: with(format<packed_q8_0, block_q8_0>()); return true;
        case GGML_TYPE_Q4_K: with(format<packed_q4_k, block_q4_K>()); return true;
        case GGML_TYPE_Q5_K: with(format<packed_q5_k, block_q5_K>()); return true;
        case GGML_TYPE_Q6_K: with(format<packed_q6_k, block_q6_K>()); return true;
        default: return false;
    }
}

}  // namespace

bool is_packable(const ggml_tensor * weights) {
    return ggml_n_dims(weights) == 2 && weights->ne[1] % ROWS == 0 && dispatch(weights->type, [](auto) {});
}

size_t packed_size(const ggml_tensor * weights) {
    size_t size = 0;
    dispatch(weights->type, [&](auto format) { size = format.size(weights); });
    return size;
}

void pack(const ggml_tensor * weights, const void * source, void * target) {
    dispatch(weights->type, [&](auto format) { format.pack(weights, source, target); });
}

}  // namespace pyl::kernels
