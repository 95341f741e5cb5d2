// What wakes a lazy grammar. Internal to the bridge.

#pragma once

#include "common.h"

#include <string>
#include <vector>

namespace pyl {

// The regular expression by which llama.cpp looks for a trigger that is no token.
std::string pattern_of(const common_grammar_trigger & trigger);

// Keeps from a sleeping grammar what cannot wake it.
//
// llama.cpp searches all the text since the beginning by regular expressions, at every token: the
// longer the answer, the longer a token. Where the triggers are words, no more than the end of the
// text can hold one, and the grammar is told of that end when it does. Patterns may begin anywhere:
// with those the grammar is told of each token.
class word_trigger {
public:
    word_trigger(const llama_vocab * vocab, const std::vector<common_grammar_trigger> & triggers);

    // Takes in the next token; returns what the grammar is to be told now.
    llama_tokens take(llama_token token);

private:
    bool has_word(size_t n_new) const;
    void forget_start();

    const llama_vocab *      vocab;
    std::vector<std::string> words;
    llama_tokens             tokens;
    size_t                   n_longest = 0;
    bool                     is_over   = false;  // it is awake, or not to be kept asleep

    // The end of the text: its tokens, how many bytes each has, and the bytes.
    llama_tokens        ends;
    std::vector<size_t> lengths;
    std::string         text;
};

}  // namespace pyl
