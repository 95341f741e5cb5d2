// From ggml's blocks to packs of sixteen rows.

#pragma once

#include "ggml.h"

#include <cstddef>
#include <cstdint>

namespace pyl::kernels {

// Whether a matrix of this type and shape can be packed.
bool is_packable(const ggml_tensor * weights);

// Bytes of the packed matrix; one that is_packable().
size_t packed_size(const ggml_tensor * weights);

// Packs a whole matrix: `source` in ggml's layout, `target` of packed_size() bytes.
void pack(const ggml_tensor * weights, const void * source, void * target);

}  // namespace pyl::kernels
