// From a constraint in JSON to the grammar and reasoning-budget parameters of a sampler.
// Internal to the bridge.

#pragma once

#include "common.h"
#include "json.h"

namespace pyl {

// Reads params.constraint, the fields of pyllama.text.constraint.Constraint, if it is there.
// Throws where llama.cpp would end the process.
void read_constraint(common_params_sampling & p, const common_json & params, const llama_vocab * vocab);

}  // namespace pyl
