// What the bridge's own files know of a sampler. Internal to the bridge.

#pragma once

#include "bridge.h"
#include "constraint.h"
#include "logits.h"

#include "json.h"
#include "sampling.h"

#include <memory>
#include <vector>

struct pyl_sampler {
    common_sampler_ptr               chain;   // null where an arg-max needs no chain
    std::vector<llama_logit_bias>    biases;  // of that arg-max
    int32_t                          n_vocab = 0;
    uint32_t                         seed    = 0;
    // The chain begins with top-k, so that no candidate beyond the k largest ever counts; else 0.
    int32_t                          n_candidates = 0;
    std::unique_ptr<pyl::constraint> constraint;  // null where the answer is free
    int32_t                          n_logprobs       = -1;  // below 0: none
    bool                             is_post_sampling = false;

    std::vector<pyl_logprob>              picked;  // of the last draw, after the chain
    std::vector<std::vector<pyl_logprob>> reports;
};

namespace pyl {

// Reads what pyl_sampler_new() gets. Throws where a field is missing, or of a value that llama.cpp
// does not survive or would not honour.
common_params_sampling read_sampling_params(const llama_vocab * vocab, const common_json & json);

// Whether the chain's answer is always the largest logit.
bool is_argmax(const common_params_sampling & params);

// The logits of a batch row. Throws where it asked for none.
logits_row get_row(llama_context * ctx, int32_t row, int32_t n_vocab);

// Samples and accepts a token. Rows of different samplers may be sampled at the same time: after
// get_row() nothing of the context changes any more.
llama_token sample_row(pyl_sampler & sampler, logits_row logits);

// How likely a token was, and the n likeliest: the form of pyl_sampler_report().
std::vector<pyl_logprob> report(logits_row row, llama_token token, int32_t n_top);

// The same after the chain: candidates have been sampled from.
std::vector<pyl_logprob> report(const llama_token_data_array & candidates, llama_token token, int32_t n_top);

}  // namespace pyl
