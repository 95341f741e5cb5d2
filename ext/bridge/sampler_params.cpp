#include "constraint_params.h"
#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace pyl {

namespace {

// Tokens of history that a penalty may look at; llama.cpp takes memory for all of them at once.
constexpr int32_t MAX_HISTORY = 1 << 20;
// Logits divided by less than this overflow; the limit, greedy decoding, is what is meant.
constexpr float MIN_TEMPERATURE = 1e-30f;

// [[token, bias], ...], where false bans the token.
std::vector<llama_logit_bias> read_biases(const llama_vocab * vocab, const common_json & json) {
    std::vector<llama_logit_bias> biases;
    for (size_t i = 0; i < json.size(); ++i) {
        const auto & pair  = json.at(i);
        const auto   token = pair.at(0).get<int64_t>();
        const bool   bans  = pair.at(1).is_boolean() && !pair.at(1).get<bool>();
        const float  bias  = bans ? -INFINITY : pair.at(1).get<float>();
        if (token < 0 || token >= llama_vocab_n_tokens(vocab)) {
            throw std::invalid_argument("logit_bias names token " + std::to_string(token) + ", which does not exist");
        }
        if (!bans && !std::isfinite(bias)) {
            throw std::invalid_argument("logit_bias must be finite, or false to ban a token");
        }
        biases.push_back({ static_cast<llama_token>(token), bias });
    }
    return biases;
}

void ban_end_of_generation(const llama_vocab * vocab, std::vector<llama_logit_bias> & biases) {
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
        if (llama_vocab_is_eog(vocab, token)) {
            biases.push_back({ token, -INFINITY });
        }
    }
}

// Where nothing is left, llama.cpp would draw one of the banned tokens.
void check_choice(const llama_vocab * vocab, const std::vector<llama_logit_bias> & biases) {
    std::vector<bool> is_banned(llama_vocab_n_tokens(vocab), false);
    for (const auto & bias : biases) {
        is_banned[bias.token] = is_banned[bias.token] || bias.bias == -INFINITY;
    }
    int32_t             n_suppress = 0;
    const llama_token * suppress   = llama_vocab_get_suppress_tokens(vocab, &n_suppress);
    for (int32_t i = 0; i < n_suppress; ++i) {
        is_banned.at(suppress[i]) = true;
    }
    if (std::all_of(is_banned.begin(), is_banned.end(), [](bool banned) { return banned; })) {
        throw std::invalid_argument("logit_bias bans every token");
    }
}

std::vector<common_sampler_type> read_samplers(const common_json & json) {
    const auto names = json.get<std::vector<std::string>>();
    auto       types = common_sampler_types_from_names(names);
    // llama-common drops a name that it does not know.
    if (types.size() != names.size()) {
        throw std::invalid_argument("samplers holds an unknown name");
    }
    // It compares all pairs of candidates: minutes a token for a whole vocabulary.
    if (std::count(types.begin(), types.end(), COMMON_SAMPLER_TYPE_INFILL) > 0) {
        throw std::invalid_argument("samplers must not hold infill");
    }
    return types;
}

void read_history(common_params_sampling & p, const common_json & json) {
    p.penalty_last_n        = std::min(json.at("repeat_last_n").get<int32_t>(), MAX_HISTORY);
    p.penalty_repeat        = json.at("repeat_penalty").get<float>();
    p.penalty_present       = json.at("presence_penalty").get<float>();
    p.penalty_freq          = json.at("frequency_penalty").get<float>();
    p.dry_multiplier        = json.at("dry_multiplier").get<float>();
    p.dry_base              = json.at("dry_base").get<float>();
    p.dry_allowed_length    = json.at("dry_allowed_length").get<int32_t>();
    p.dry_penalty_last_n    = std::min(json.at("dry_penalty_last_n").get<int32_t>(), MAX_HISTORY);
    p.dry_sequence_breakers = json.at("dry_sequence_breakers").get<std::vector<std::string>>();
}

bool has(const common_params_sampling & p, common_sampler_type type) {
    return std::count(p.samplers.begin(), p.samplers.end(), type) > 0;
}

bool has_neutral_history(const common_params_sampling & p) {
    const bool is_plain = p.penalty_repeat == 1.0f && p.penalty_freq == 0.0f && p.penalty_present == 0.0f;
    return (is_plain || p.penalty_last_n == 0 || !has(p, COMMON_SAMPLER_TYPE_PENALTIES)) &&
           (p.dry_multiplier == 0.0f || !has(p, COMMON_SAMPLER_TYPE_DRY));
}

}  // namespace

common_params_sampling read_sampling_params(const llama_vocab * vocab, const common_json & json) {
    common_params_sampling p;
    p.temp              = json.at("temperature").get<float>();
    p.temp              = std::abs(p.temp) < MIN_TEMPERATURE ? 0.0f : p.temp;
    p.top_k             = json.at("top_k").get<int32_t>();
    p.top_p             = json.at("top_p").get<float>();
    p.min_p             = json.at("min_p").get<float>();
    p.typ_p             = json.at("typical_p").get<float>();
    p.top_n_sigma       = json.at("top_n_sigma").get<float>();
    p.xtc_probability   = json.at("xtc_probability").get<float>();
    p.xtc_threshold     = json.at("xtc_threshold").get<float>();
    p.dynatemp_range    = json.at("dynatemp_range").get<float>();
    p.dynatemp_exponent = json.at("dynatemp_exponent").get<float>();
    p.mirostat          = json.at("mirostat").get<int32_t>();
    p.mirostat_tau      = json.at("mirostat_tau").get<float>();
    p.mirostat_eta      = json.at("mirostat_eta").get<float>();
    p.adaptive_target   = json.at("adaptive_target").get<float>();
    p.adaptive_decay    = json.at("adaptive_decay").get<float>();
    p.min_keep          = json.at("min_keep").get<int32_t>();
    p.samplers          = read_samplers(json.at("samplers"));
    p.logit_bias        = read_biases(vocab, json.at("logit_bias"));
    p.no_perf           = true;
    const auto seed     = json.at("seed").get<int64_t>();
    p.seed              = seed < 0 ? LLAMA_DEFAULT_SEED : static_cast<uint32_t>(seed);
    read_history(p, json);
    if (p.mirostat < 0 || p.mirostat > 2) {
        throw std::invalid_argument("mirostat must be 0, 1 or 2, not " + std::to_string(p.mirostat));
    }
    if (json.at("ignore_eos").get<bool>()) {
        ban_end_of_generation(vocab, p.logit_bias);
    }
    if (!p.logit_bias.empty()) {
        check_choice(vocab, p.logit_bias);
    }
    read_constraint(p, json, vocab);
    return p;
}

// The truncations top-k, top-p, min-p and top-n-sigma never drop the largest logit; typical-p and XTC
// may, dynamic temperature and adaptive-p draw again.
bool is_argmax(const common_params_sampling & p) {
    return p.temp <= 0.0f && p.dynatemp_range == 0.0f && has(p, COMMON_SAMPLER_TYPE_TEMPERATURE) &&
           !has(p, COMMON_SAMPLER_TYPE_ADAPTIVE_P) && p.mirostat == 0 && p.typ_p >= 1.0f &&
           p.xtc_probability == 0.0f && has_neutral_history(p);
}

}  // namespace pyl
