// The samplers behind pyl_sampler. Internal to the bridge.

#pragma once

#include "bridge.h"

namespace pyl {

// Samples one token from a row of the last decoded batch and adds it to the sampler's history.
// Throws where the row has no logits.
llama_token sample_row(pyl_sampler & sampler, llama_context * ctx, int32_t row);

}  // namespace pyl
