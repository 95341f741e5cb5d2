// The kernels as operations of ggml's CPU backend: how one is cut for its threads.

#pragma once

#include "ggml-cpu/traits.h"

namespace pyl::kernels {

// GGML_OP_MUL_MAT whose weights are packed.
ggml::cpu::tensor_traits & matmul_operation();

// GGML_OP_FLASH_ATTN_EXT; one that is_attention_supported().
ggml::cpu::tensor_traits & attention_operation();

}  // namespace pyl::kernels
