// How the kernels keep quantised weights: sixteen rows of a matrix side by side.
//
// The unit is a group: 32 consecutive values of each of sixteen rows. Within it, four bytes of every
// row follow one another, so that one 512-bit register holds four values of all sixteen rows and one
// VNNI instruction multiplies them with four values of the input, added up per row. Nothing has to
// be summed across a register, and the scales of sixteen rows are one register as well.
//
// Values are kept unsigned, as the instruction wants its first operand; what was subtracted to make
// them signed (`zero`) is put back through the sum of the input's values.

#pragma once

#include <cstddef>
#include <cstdint>

namespace pyl::kernels {

constexpr int ROWS  = 16;  // rows of a pack
constexpr int GROUP = 32;  // values of one row in a group

// Byte 4j+i of a row's half word j: value 4j+i below, value 16+4j+i above.
using nibbles = uint8_t[ROWS * GROUP / 2];
// Register j holds the values 4j to 4j+3 of all rows.
using bytes = uint8_t[ROWS * GROUP];

using half = uint16_t;  // IEEE binary16, as its bits

struct packed_q4_0 {
    static constexpr int  n_groups = 1, zero = 8;
    static constexpr bool has_offset = false;
    half                  d[ROWS];
    nibbles               q;
};

// value = d * q + m
struct packed_q4_1 {
    static constexpr int  n_groups = 1, zero = 0;
    static constexpr bool has_offset = true;
    half                  d[ROWS];
    half                  m[ROWS];
    nibbles               q;
};

struct packed_q8_0 {
    static constexpr int  n_groups = 1, zero = 128;
    static constexpr bool has_offset = false;
    half                  d[ROWS];
    bytes                 q;
};

struct four_bits {
    uint8_t scale[ROWS];
    uint8_t min[ROWS];
    nibbles q;
};

// Bit 4r+i of word j is the fifth of value 4j+i of row r.
struct five_bits : four_bits {
    uint64_t high[GROUP / 4];
};

// value = d * scale * q - dmin * min, both of 6 bits, per group
template <typename Group> struct packed_k {
    static constexpr int n_groups = 8, zero = 0;
    half                 d[ROWS];
    half                 dmin[ROWS];
    Group                groups[n_groups];
};

using packed_q4_k = packed_k<four_bits>;
using packed_q5_k = packed_k<five_bits>;

// Two scales a group, of 16 values each. The two high bits of value 8p+4s+i are the bits 2(p%4)... of
// byte 4r+i of `high[s]`: register s, shifted by 2p, serves register 2p+s of values.
struct packed_q6_k {
    static constexpr int n_groups = 8, zero = 32;
    half                 d[ROWS];
    struct {
        int8_t  scale[2][ROWS];
        nibbles q;
        uint8_t high[2][ROWS * 4];
    } groups[n_groups];
};

// 32 values of an input row at 8 bits, rounded as in ggml's q8_0 but for the scale, which keeps its 32 bits:
// those of 16 end at 1e-7 and at 65504.
struct input_group {
    int8_t  q[GROUP];
    float   d;        // value = d * q
    float   sum;      // d times the sum of q
    int32_t zero[2];  // minus the format's zero, times the sum of each half of q
};

}  // namespace pyl::kernels
