// Packed weights times rows of input.

#pragma once

#include "ggml.h"
#include "packed.h"

#include <cstddef>
#include <cstdint>

namespace pyl::kernels {

// Rounds a row of `n` values, a multiple of GROUP, to 8 bits for weights whose `zero` is given.
using quantize_fn = void (*)(const float * row, input_group * target, int64_t n, int zero);

// One pack of ROWS weight rows times `n_rows` rows of input, `n_columns` values each, one row of input
// after the other. Result r goes to outputs[r][place] ... outputs[r][place + ROWS - 1].
using multiply_fn = void (*)(
    const void * pack, const input_group * input, int64_t n_columns, int64_t n_rows, float * const * outputs,
    int64_t place);

// How to multiply with weights of one type.
struct matmul_kernel {
    quantize_fn quantize;
    multiply_fn multiply;
    int         zero;
};

// Null where the type has none. For a processor with AVX-512 VNNI; ask has_avx512() first.
const matmul_kernel * matmul_avx512(ggml_type type);

}  // namespace pyl::kernels
