#include "constraint_params.h"

#include <algorithm>
#include <stdexcept>

namespace {

std::vector<llama_token> tokens_of(const llama_vocab * vocab, const std::string & text) {
    return common_tokenize(vocab, text, /* add_special= */ false, /* parse_special= */ true);
}

void read_preserved(common_params_sampling & p, const common_json & constraint, const llama_vocab * vocab) {
    for (const auto & text : constraint.at("preserved_tokens")) {
        const auto tokens = tokens_of(vocab, text.get<std::string>());
        if (tokens.size() == 1) {
            p.preserved_tokens.insert(tokens[0]);
        }
    }
}

void read_triggers(common_params_sampling & p, const common_json & constraint, const llama_vocab * vocab) {
    for (const auto & item : constraint.at("triggers")) {
        common_grammar_trigger trigger;
        trigger.type  = static_cast<common_grammar_trigger_type>(item.at("type").get<int>());
        trigger.value = item.at("value").get<std::string>();
        if (trigger.type < COMMON_GRAMMAR_TRIGGER_TYPE_WORD || trigger.type > COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL) {
            throw std::invalid_argument("a trigger is a word or a pattern");
        }
        // A word that is one preserved token triggers by its id: its text alone may be plain text.
        if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {
            const auto tokens = tokens_of(vocab, trigger.value);
            if (tokens.size() == 1 && p.preserved_tokens.count(tokens[0]) > 0) {
                trigger.type  = COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN;
                trigger.token = tokens[0];
            }
        }
        p.grammar_triggers.push_back(trigger);
    }
    if (p.grammar_lazy && p.grammar_triggers.empty()) {
        throw std::invalid_argument("a lazy grammar needs a trigger");
    }
}

// Tokens of a thinking block that the prompt holds already. llama.cpp counts them against the budget,
// and takes those after a budget of 0 for the forced end, which would then lack its beginning.
int32_t n_thought(const common_params_sampling & p, const llama_vocab * vocab) {
    const auto   prompt = tokens_of(vocab, p.generation_prompt);
    const auto & start  = p.reasoning_budget_start;
    const auto   opened = std::find_end(prompt.begin(), prompt.end(), start.begin(), start.end());
    if (opened == prompt.end()) {
        return 0;
    }
    const auto first = opened + start.size();
    for (const auto & end : p.reasoning_budget_end) {
        if (std::search(first, prompt.end(), end.begin(), end.end()) != prompt.end()) {
            return 0;
        }
    }
    return static_cast<int32_t>(prompt.end() - first);
}

void read_reasoning(common_params_sampling & p, const common_json & constraint, const llama_vocab * vocab) {
    const auto start = constraint.at("thinking_start").get<std::string>();
    for (const auto & text : constraint.at("thinking_ends")) {
        const auto tokens = tokens_of(vocab, text.get<std::string>());
        if (!tokens.empty()) {
            p.reasoning_budget_end.push_back(tokens);
        }
    }
    if (start.empty() || p.reasoning_budget_end.empty()) {
        p.reasoning_budget_end.clear();
        return;
    }
    p.reasoning_budget_start   = tokens_of(vocab, start);
    p.reasoning_budget_tokens  = constraint.at("reasoning_budget").get<int32_t>();
    p.reasoning_budget_message = constraint.at("reasoning_budget_message").get<std::string>();
    const auto end             = constraint.at("thinking_ends").at(0).get<std::string>();
    p.reasoning_budget_forced  = tokens_of(vocab, p.reasoning_budget_message + end);
    const auto n               = n_thought(p, vocab);
    if (p.reasoning_budget_tokens >= 0 && p.reasoning_budget_tokens < INT32_MAX - n) {
        p.reasoning_budget_tokens += n;
    }
}

// An eager grammar is fed the generation prompt, and llama.cpp ends the process where an
// end-of-generation token comes before the grammar's end. A continued message is the client's text.
void check_prefill(const common_params_sampling & p, const llama_vocab * vocab) {
    if (p.grammar_lazy || p.grammar.empty()) {
        return;
    }
    for (const llama_token token : tokens_of(vocab, p.generation_prompt)) {
        if (llama_vocab_is_eog(vocab, token)) {
            throw std::invalid_argument("the text to be continued holds an end-of-generation token");
        }
    }
}

}  // namespace

void pyl::read_constraint(common_params_sampling & p, const common_json & params, const llama_vocab * vocab) {
    if (!params.contains("constraint")) {
        return;
    }
    const auto & constraint = params.at("constraint");
    const auto   grammar    = constraint.at("grammar").get<std::string>();
    p.generation_prompt     = constraint.at("generation_prompt").get<std::string>();
    if (!grammar.empty()) {
        p.grammar      = { COMMON_GRAMMAR_TYPE_TOOL_CALLS, grammar };
        p.grammar_lazy = constraint.at("lazy").get<bool>();
        read_preserved(p, constraint, vocab);
        read_triggers(p, constraint, vocab);
    }
    read_reasoning(p, constraint, vocab);
    check_prefill(p, vocab);
}
