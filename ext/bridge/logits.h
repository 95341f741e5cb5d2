// What can be read off one row of logits in one pass. Internal to the bridge.

#pragma once

#include "llama.h"

#include <cstddef>
#include <vector>

namespace pyl {

// The logits of one place in a text, one a token of the vocabulary.
struct logits_row {
    const float * data;
    int32_t       n_vocab;
};

// The first token with the largest logit. Throws where the row holds no number.
llama_token argmax(logits_row row);

// The k largest logits, largest first; of equal ones the lower token comes first. Fewer where the
// row does not hold that many: tokens of logit -inf and NaN are never among them.
void top_candidates(logits_row row, int32_t k, std::vector<llama_token_data> & top);

// Every token in its order.
void all_candidates(logits_row row, std::vector<llama_token_data> & all);

// What to subtract from a logit for the natural logarithm of its token's probability.
double log_normalizer(logits_row row);

}  // namespace pyl
