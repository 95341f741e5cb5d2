// The options behind pyl_options. Internal to the bridge.

#pragma once

#include "arg.h"
#include "common.h"

#include <atomic>

struct pyl_options {
    common_params         params;
    common_params_context context;

    // The context keeps a reference to params, so neither may move.
    pyl_options() : context(common_params_parser_init(params, LLAMA_EXAMPLE_SERVER)) {}
    pyl_options(const pyl_options &)             = delete;
    pyl_options & operator=(const pyl_options &) = delete;

    llama_context_params cparams{};
    bool                 is_loaded = false;
    std::atomic<bool>    is_cancelled{ false };
};
