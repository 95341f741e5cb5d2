#include "constraint.h"

#include "reasoning-budget.h"

#include <algorithm>
#include <cctype>
#include <climits>
#include <cmath>
#include <stdexcept>

namespace pyl {

namespace {

constexpr const char * ROOT = "root";

llama_sampler * make_grammar(const llama_vocab * vocab, const common_params_sampling & p) {
    if (!p.grammar_lazy) {
        return llama_sampler_init_grammar(vocab, p.grammar.grammar.c_str(), ROOT);
    }
    std::vector<std::string> patterns;
    std::vector<llama_token> tokens;
    for (const auto & trigger : p.grammar_triggers) {
        if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN) {
            tokens.push_back(trigger.token);
        } else {
            patterns.push_back(pattern_of(trigger));
        }
    }
    std::vector<const char *> raw;
    for (const auto & pattern : patterns) {
        raw.push_back(pattern.c_str());
    }
    return llama_sampler_init_grammar_lazy_patterns(
        vocab, p.grammar.grammar.c_str(), ROOT, raw.data(), raw.size(), tokens.data(), tokens.size());
}

// Thoughts are watched where they are limited, and where no call may begin within them.
llama_sampler * make_budget(const llama_vocab * vocab, const common_params_sampling & p) {
    if (p.reasoning_budget_end.empty() || (!p.grammar_lazy && p.reasoning_budget_tokens < 0)) {
        return nullptr;
    }
    const int32_t n_tokens = p.reasoning_budget_tokens < 0 ? INT_MAX : p.reasoning_budget_tokens;
    return common_reasoning_budget_init(
        vocab, { p.reasoning_budget_start }, p.reasoning_budget_end, p.reasoning_budget_forced, n_tokens);
}

// What the template has begun of the answer.
llama_tokens begun_answer(const llama_vocab * vocab, const std::string & text) {
    auto tokens = common_tokenize(vocab, text, /* add_special= */ false, /* parse_special= */ true);
    const auto is_blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
    if (!tokens.empty() && !is_blank(text[0])) {
        // Some tokenizers put a blank before the first token.
        const auto piece = common_token_to_piece(vocab, tokens[0], /* special= */ true);
        if (!piece.empty() && is_blank(piece[0])) {
            tokens.erase(tokens.begin());
        }
    }
    return tokens;
}

}  // namespace

constraint::constraint(const llama_vocab * vocab, const common_params_sampling & p) :
    vocab(vocab), is_lazy(p.grammar_lazy), trigger(vocab, p.grammar_triggers), budget(make_budget(vocab, p)) {
    const auto begun = begun_answer(vocab, p.generation_prompt);
    if (!p.grammar.empty()) {
        grammar.reset(make_grammar(vocab, p));
        if (grammar == nullptr) {
            throw std::runtime_error("failed to parse grammar");
        }
    }
    if (grammar != nullptr && !is_lazy) {
        try {
            for (const llama_token token : begun) {
                llama_sampler_accept(grammar.get(), token);
            }
        } catch (const std::exception &) {
            throw std::runtime_error("the grammar does not take the end of the prompt");
        }
    }
    for (const llama_token token : budget == nullptr ? llama_tokens{} : begun) {
        llama_sampler_accept(budget.get(), token);
    }
}

bool constraint::is_wanted(const common_params_sampling & p) {
    return !p.grammar.empty() || !p.reasoning_budget_end.empty();
}

void constraint::take_out(common_params_sampling & p) {
    p.grammar      = {};
    p.grammar_lazy = false;
    p.grammar_triggers.clear();
    p.generation_prompt.clear();
    p.reasoning_budget_end.clear();
}

bool constraint::is_forcing() const {
    return budget != nullptr && common_reasoning_budget_get_state(budget.get()) == REASONING_BUDGET_FORCING;
}

bool constraint::takes(llama_token token) {
    if (!grammar_counts()) {
        return true;
    }
    std::vector<llama_token_data> candidates = { { token, 1.0f, 0.0f } };
    apply_grammar(candidates);
    return !candidates.empty() && !std::isinf(candidates[0].logit);
}

void constraint::apply_grammar(std::vector<llama_token_data> & candidates) {
    llama_token_data_array array = { candidates.data(), candidates.size(), -1, false };
    try {
        if (!is_lost) {
            llama_sampler_apply(grammar.get(), &array);
        }
    } catch (const std::exception &) {
        is_lost = true;
    }
    if (is_lost) {
        // No token is right any more.
        candidates.clear();
    }
}

void constraint::filter(std::vector<llama_token_data> & candidates) {
    llama_token_data_array array = { candidates.data(), candidates.size(), -1, false };
    if (budget != nullptr) {
        llama_sampler_apply(budget.get(), &array);
    }
    if (grammar_counts()) {
        apply_grammar(candidates);
    }
    const auto is_refused = [](const llama_token_data & candidate) { return candidate.logit == -INFINITY; };
    candidates.erase(std::remove_if(candidates.begin(), candidates.end(), is_refused), candidates.end());
}

llama_token constraint::accept(llama_token token) {
    bool is_dead = token == LLAMA_TOKEN_NULL;
    if (!is_dead) {
        // The budget says first whether this token is a thought: its own end is one still.
        const bool is_answer = grammar_counts();
        try {
            feed_budget(token, is_answer);
            if (is_answer) {
                feed_grammar(token);
            }
            return token;
        } catch (const std::length_error &) {
            is_lost = true;
        } catch (const std::exception &) {
            is_dead = !is_lazy;
        }
    }
    // It holds no state any more that may be used.
    grammar.reset();
    return is_dead || is_lost ? end_of_generation(token) : token;
}

// Within thoughts a lazy grammar sleeps: what looks like a call there is none.
bool constraint::grammar_counts() const {
    if (grammar == nullptr || budget == nullptr || !is_lazy) {
        return grammar != nullptr;
    }
    const auto state = common_reasoning_budget_get_state(budget.get());
    return state == REASONING_BUDGET_IDLE || state == REASONING_BUDGET_DONE;
}

void constraint::feed_grammar(llama_token token) {
    for (const llama_token each : trigger.take(token)) {
        llama_sampler_accept(grammar.get(), each);
    }
}

void constraint::feed_budget(llama_token token, bool is_answer) {
    if (budget == nullptr) {
        return;
    }
    llama_sampler_accept(budget.get(), token);
    const bool is_over = common_reasoning_budget_get_state(budget.get()) == REASONING_BUDGET_DONE;
    if (grammar == nullptr || is_answer || !is_over) {
        return;
    }
    // The end of thoughts may be what wakes the grammar, or a part of it.
    const llama_tokens * end = common_reasoning_budget_get_end_match(budget.get());
    for (const llama_token each : end == nullptr ? llama_tokens{} : *end) {
        feed_grammar(each);
    }
}

llama_token constraint::end_of_generation(llama_token otherwise) const {
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
        if (llama_vocab_is_eog(vocab, token)) {
            return token;
        }
    }
    return otherwise;
}

}  // namespace pyl
