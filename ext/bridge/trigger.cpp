#include "trigger.h"

#include <algorithm>
#include <stdexcept>

namespace pyl {

std::string pattern_of(const common_grammar_trigger & trigger) {
    const std::string & value = trigger.value;
    switch (trigger.type) {
        case COMMON_GRAMMAR_TRIGGER_TYPE_WORD:
            return regex_escape(value);
        case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN:
            return value;
        case COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL:
            // Between anchors llama.cpp matches the whole text.
            return (value.empty() || value.front() != '^' ? "^" : "") + value +
                   (value.empty() || value.back() != '$' ? "$" : "");
        default:
            throw std::invalid_argument("a trigger that is a token has no pattern");
    }
}

word_trigger::word_trigger(const llama_vocab * vocab, const std::vector<common_grammar_trigger> & triggers) :
    vocab(vocab) {
    for (const auto & trigger : triggers) {
        if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN) {
            tokens.push_back(trigger.token);
        } else if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD && !trigger.value.empty()) {
            words.push_back(trigger.value);
            n_longest = std::max(n_longest, trigger.value.size());
        } else {
            is_over = true;
        }
    }
    // Without triggers a grammar is awake from the start.
    is_over = is_over || triggers.empty();
}

llama_tokens word_trigger::take(llama_token token) {
    if (is_over) {
        return { token };
    }
    if (std::find(tokens.begin(), tokens.end(), token) != tokens.end()) {
        is_over = true;
        return { token };
    }
    const auto piece = common_token_to_piece(vocab, token, /* special= */ true);
    ends.push_back(token);
    lengths.push_back(piece.size());
    text += piece;
    if (has_word(piece.size())) {
        is_over = true;
        return std::move(ends);
    }
    forget_start();
    return {};
}

// Whether a word ends within the last bytes.
bool word_trigger::has_word(size_t n_new) const {
    return std::any_of(words.begin(), words.end(), [&](const std::string & word) {
        const size_t n_seen = std::min(text.size(), n_new + word.size() - 1);
        return text.find(word, text.size() - n_seen) != std::string::npos;
    });
}

// Drops the tokens in which no word can begin that is yet to end.
void word_trigger::forget_start() {
    size_t n_tokens = 0;
    size_t n_bytes  = 0;
    while (n_tokens < lengths.size() && text.size() - n_bytes - lengths[n_tokens] + 1 >= n_longest) {
        n_bytes += lengths[n_tokens++];
    }
    ends.erase(ends.begin(), ends.begin() + n_tokens);
    lengths.erase(lengths.begin(), lengths.begin() + n_tokens);
    text.erase(0, n_bytes);
}

}  // namespace pyl
