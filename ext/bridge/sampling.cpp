#include "bridge.h"
#include "constraint.h"
#include "guard.h"

#include "json.h"
#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

struct pyl_sampler {
    common_sampler_ptr           chain;   // null where greedy decoding needs no chain
    std::unique_ptr<pyl::escape> escape;  // null where no grammar can fail
    std::vector<llama_token>     banned;  // tokens that an arg-max must pass over
    int32_t                      n_vocab = 0;
    uint32_t                     seed    = 0;
};

namespace {

// Tokens of history that a penalty may look at; llama.cpp takes memory for all of them at once.
constexpr int32_t MAX_HISTORY = 1 << 20;

common_params_sampling read_params(const llama_vocab * vocab, const common_json & json) {
    common_params_sampling p;
    p.temp               = json.at("temperature").get<float>();
    p.top_k              = json.at("top_k").get<int32_t>();
    p.top_p              = json.at("top_p").get<float>();
    p.min_p              = json.at("min_p").get<float>();
    p.typ_p              = json.at("typical_p").get<float>();
    p.top_n_sigma        = json.at("top_n_sigma").get<float>();
    p.xtc_probability    = json.at("xtc_probability").get<float>();
    p.xtc_threshold      = json.at("xtc_threshold").get<float>();
    p.dynatemp_range     = json.at("dynatemp_range").get<float>();
    p.dynatemp_exponent  = json.at("dynatemp_exponent").get<float>();
    p.penalty_last_n     = std::min(json.at("repeat_last_n").get<int32_t>(), MAX_HISTORY);
    p.penalty_repeat     = json.at("repeat_penalty").get<float>();
    p.penalty_present    = json.at("presence_penalty").get<float>();
    p.penalty_freq       = json.at("frequency_penalty").get<float>();
    p.dry_multiplier     = json.at("dry_multiplier").get<float>();
    p.dry_base           = json.at("dry_base").get<float>();
    p.dry_allowed_length = json.at("dry_allowed_length").get<int32_t>();
    p.dry_penalty_last_n = std::min(json.at("dry_penalty_last_n").get<int32_t>(), MAX_HISTORY);
    p.mirostat           = json.at("mirostat").get<int32_t>();
    p.mirostat_tau       = json.at("mirostat_tau").get<float>();
    p.mirostat_eta       = json.at("mirostat_eta").get<float>();
    p.min_keep           = json.at("min_keep").get<int32_t>();
    p.no_perf            = true;
    const auto seed      = json.at("seed").get<int64_t>();
    if (p.mirostat < 0 || p.mirostat > 2) {
        throw std::invalid_argument("mirostat must be 0, 1 or 2, not " + std::to_string(p.mirostat));
    }
    p.seed               = seed < 0 ? LLAMA_DEFAULT_SEED : static_cast<uint32_t>(seed);
    if (json.at("ignore_eos").get<bool>()) {
        for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
            if (llama_vocab_is_eog(vocab, token)) {
                p.logit_bias.push_back({ token, -INFINITY });
            }
        }
    }
    pyl::read_constraint(p, json, vocab);
    return p;
}

bool has_neutral_penalties(const common_params_sampling & p) {
    const bool is_plain = p.penalty_repeat == 1.0f && p.penalty_freq == 0.0f && p.penalty_present == 0.0f;
    return (is_plain || p.penalty_last_n == 0) && p.dry_multiplier == 0.0f;
}

// Whether the chain's answer is always the largest logit. The truncations top-k, top-p, min-p and
// top-n-sigma never drop that one; typical-p and XTC may, and dynamic temperature draws again.
bool is_argmax(const common_params_sampling & p) {
    return p.temp <= 0.0f && p.dynatemp_range == 0.0f && p.mirostat == 0 && p.typ_p >= 1.0f &&
           p.xtc_probability == 0.0f && has_neutral_penalties(p) && p.grammar.empty() &&
           p.reasoning_budget_end.empty();
}

std::vector<llama_token> banned_tokens(const llama_vocab * vocab, const common_params_sampling & p) {
    std::vector<llama_token> banned;
    for (const auto & bias : p.logit_bias) {
        banned.push_back(bias.token);
    }
    int32_t             n_suppress = 0;
    const llama_token * suppress   = llama_vocab_get_suppress_tokens(vocab, &n_suppress);
    banned.insert(banned.end(), suppress, suppress + n_suppress);
    return banned;
}

llama_token argmax(const pyl_sampler & sampler, float * logits) {
    for (const llama_token token : sampler.banned) {
        logits[token] = -INFINITY;
    }
    // PERF: the maximum first, without its index: that loop vectorises, std::max_element's does not.
    float best = logits[0];
    for (int32_t i = 1; i < sampler.n_vocab; ++i) {
        best = logits[i] > best ? logits[i] : best;
    }
    for (int32_t i = 0; i < sampler.n_vocab; ++i) {
        if (logits[i] == best) {
            return i;
        }
    }
    throw std::runtime_error("the logits hold no number");
}

llama_token sample_row(pyl_sampler & sampler, llama_context * ctx, int32_t row) {
    // A negative row would count from the end; the chain ends the process on a row without logits.
    float * logits = row < 0 ? nullptr : llama_get_logits_ith(ctx, row);
    if (logits == nullptr) {
        throw std::runtime_error("no logits for batch row " + std::to_string(row));
    }
    if (sampler.chain == nullptr) {
        return argmax(sampler, logits);
    }
    const llama_token token = common_sampler_sample(sampler.chain.get(), ctx, row);
    if (sampler.escape != nullptr) {
        return pyl::accept_or_escape(sampler.chain, *sampler.escape, token);
    }
    common_sampler_accept(sampler.chain.get(), token, true);
    return token;
}

}  // namespace

pyl_sampler * pyl_sampler_new(const llama_model * model, const char * params) {
    return pyl::guarded(static_cast<pyl_sampler *>(nullptr), [&] {
        const llama_vocab * vocab   = llama_model_get_vocab(model);
        auto                p       = read_params(vocab, common_json::parse(params));
        auto                sampler = std::make_unique<pyl_sampler>();
        sampler->n_vocab            = llama_vocab_n_tokens(vocab);
        sampler->seed               = p.seed;
        if (is_argmax(p)) {
            sampler->banned = banned_tokens(vocab, p);
        } else {
            sampler->chain.reset(common_sampler_init(model, p));
            sampler->seed = common_sampler_get_seed(sampler->chain.get());
            if (!p.grammar.empty()) {
                sampler->escape = std::make_unique<pyl::escape>(pyl::escape{ model, p });
            }
        }
        return sampler.release();
    });
}

void pyl_sampler_free(pyl_sampler * sampler) {
    delete sampler;
}

bool pyl_sampler_is_greedy(const pyl_sampler * sampler) {
    return sampler->chain == nullptr;
}

uint32_t pyl_sampler_seed(const pyl_sampler * sampler) {
    return sampler->seed;
}

bool pyl_sampler_accept_prompt(pyl_sampler * sampler, const llama_token * tokens, size_t n_tokens) {
    return pyl::guarded(false, [&] {
        if (sampler->chain != nullptr) {
            for (size_t i = 0; i < n_tokens; ++i) {
                common_sampler_accept(sampler->chain.get(), tokens[i], false);
            }
        }
        return true;
    });
}

bool pyl_sample_rows(
    llama_context * ctx, pyl_sampler * const * samplers, const int32_t * rows, size_t n, llama_token * tokens) {
    return pyl::guarded(false, [&] {
        llama_synchronize(ctx);
        for (size_t i = 0; i < n; ++i) {
            tokens[i] = sample_row(*samplers[i], ctx, rows[i]);
        }
        return true;
    });
}
