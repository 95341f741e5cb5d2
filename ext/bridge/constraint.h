// From a constraint in JSON to the grammar and reasoning-budget parameters of a sampler.
// Internal to the bridge.

#pragma once

#include "common.h"
#include "json.h"
#include "sampling.h"

namespace pyl {

// Reads params.constraint, the fields of pyllama.text.constraint.Constraint, if it is there.
// Throws where llama.cpp would end the process.
void read_constraint(common_params_sampling & p, const common_json & params, const llama_vocab * vocab);

// What a sampler needs to go on without its grammar.
struct escape {
    const llama_model *    model;
    common_params_sampling params;
};

// Accepts the token that a sampler with a grammar has just drawn, and returns the token that counts.
//
// A grammar may come to a place where no token fits, and a lazy one may wake within a token whose
// rest does not fit: llama.cpp throws then, or ends the process, and other rows would fail with this
// one. Here the grammar is given up instead. The answer ends at a dead end; it goes on, free, where a
// lazy grammar did not take what woke it.
llama_token accept_or_escape(common_sampler_ptr & sampler, const escape & escape, llama_token token);

}  // namespace pyl
