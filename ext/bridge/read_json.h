// Texts of strangers as JSON. Internal to the bridge.

#pragma once

#include "json.h"

namespace pyl {

// Throws where the text is no JSON, or has an object of very many members: llama-common looks
// through all of them for each one.
common_json read_json(const char * text);

}  // namespace pyl
