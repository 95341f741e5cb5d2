// What holds an answer to its form: a grammar, and a budget for its thoughts. Internal to the bridge.

#pragma once

#include "trigger.h"

#include "common.h"
#include "llama-cpp.h"

namespace pyl {

// The grammar and the reasoning budget of one sampler, beside its chain.
//
// llama-common's own sampler has both, and looks at the whole vocabulary for every token, also while
// a lazy grammar sleeps and a budget only counts. Here the chain draws as it does without them, and
// what it drew is checked: only what is refused costs a second look, at the likeliest tokens first.
class constraint {
public:
    // Throws where the grammar cannot be read, or does not take the end of the prompt.
    constraint(const llama_vocab * vocab, const common_params_sampling & p);

    // Whether anything constrains at all.
    static bool is_wanted(const common_params_sampling & p);

    // Leaves the parameters of the chain alone.
    static void take_out(common_params_sampling & p);

    // Whether the budget is used up and the end of the thoughts is what comes next, whatever is likely.
    bool is_forcing() const;

    // Whether a token may come next.
    bool takes(llama_token token);

    // Leaves the candidates that may come next; their order stays.
    void filter(std::vector<llama_token_data> & candidates);

    // Goes on behind a token, LLAMA_TOKEN_NULL where none was left; returns the token that counts.
    //
    // A grammar may come to a place where no token fits, and a lazy one may wake within a token whose
    // rest does not fit: llama.cpp throws then, or ends the process, and other rows would fail with
    // this one. Here the grammar is given up instead. The answer ends at a dead end, and where a token
    // would take too long, which has_given_up() says; it goes on, free, where a lazy grammar did not take
    // what woke it.
    llama_token accept(llama_token token);

    // Whether the grammar took too long: then the answer ended before it was what the grammar asks for.
    bool has_given_up() const { return is_lost; }

private:
    // Tells what the grammar refuses by its logit; leaves no candidate where that takes too long.
    void        apply_grammar(std::vector<llama_token_data> & candidates);
    bool        grammar_counts() const;
    void        feed_grammar(llama_token token);
    void        feed_budget(llama_token token, bool is_answer);
    llama_token end_of_generation(llama_token otherwise) const;

    const llama_vocab * vocab;
    bool                is_lazy;
    bool                is_lost = false;
    llama_sampler_ptr   grammar;  // null where none is left
    word_trigger        trigger;  // of a grammar that is lazy
    llama_sampler_ptr   budget;   // null where thoughts may be as long as they like
};

}  // namespace pyl
