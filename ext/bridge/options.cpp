#include "options.h"

#include "bridge.h"
#include "guard.h"

#include "chat.h"
#include "json.h"
#include "speculative.h"

#include <cmath>
#include <set>
#include <stdexcept>

namespace {

const char * kind_of(const common_arg & option) {
    if (option.handler_void)    return "flag";
    if (option.handler_bool)    return "bool";
    if (option.handler_int)     return "int";
    if (option.handler_string)  return "string";
    if (option.handler_str_str) return "pair";
    return "none";
}

common_json strings(const std::vector<const char *> & values) {
    auto list = common_json::array();
    for (const char * value : values) {
        list.push_back(std::string(value));
    }
    return list;
}

common_json text_or_null(const char * text) {
    return text == nullptr ? common_json() : common_json(std::string(text));
}

// Finds an option by any spelling; is_positive tells "--mmap" from "--no-mmap".
common_arg * find(pyl_options & options, const std::string & arg, bool & is_positive) {
    for (auto & option : options.context.options) {
        for (const char * spelling : option.args) {
            if (arg == spelling) {
                is_positive = true;
                return &option;
            }
        }
        for (const char * spelling : option.args_neg) {
            if (arg == spelling) {
                is_positive = false;
                return &option;
            }
        }
    }
    return nullptr;
}

// Options whose handlers print, exit or change the log of the whole process: not for a library.
bool is_for_programs(const common_arg & option) {
    static const std::set<std::string> names = {
        "--help",       "--version",       "--completion-bash", "--cache-list",   "--list-devices",
        "--verbose",    "--verbosity",     "--log-disable",     "--log-file",     "--log-jsonl",
        "--log-colors", "--log-prefix",    "--log-timestamps",  "--log-prompts-dir",
    };
    for (const char * spelling : option.args) {
        if (names.count(spelling) > 0) {
            return true;
        }
    }
    return false;
}

void check_values(const common_arg & option, const std::string & arg, const char * value, const char * value2) {
    const bool takes_two = option.handler_str_str != nullptr;
    const bool takes_one = takes_two || option.handler_int != nullptr || option.handler_string != nullptr;
    if (value != nullptr && !takes_one) {
        throw std::invalid_argument(arg + " takes no value");
    }
    if (value2 != nullptr && !takes_two) {
        throw std::invalid_argument(arg + " takes one value");
    }
}

std::string required(const char * value, const std::string & arg) {
    if (value == nullptr) {
        throw std::invalid_argument(arg + " needs a value");
    }
    return value;
}

int to_int(const std::string & text, const std::string & arg) {
    size_t n_read = 0;
    int    value  = 0;
    try {
        value = std::stoi(text, &n_read);
    } catch (const std::exception &) {
        n_read = 0;
    }
    if (n_read == 0 || n_read != text.size()) {
        throw std::invalid_argument(arg + " needs an integer, not '" + text + "'");
    }
    return value;
}

const char * pooling_name(enum llama_pooling_type type) {
    switch (type) {
        case LLAMA_POOLING_TYPE_NONE: return "none";
        case LLAMA_POOLING_TYPE_MEAN: return "mean";
        case LLAMA_POOLING_TYPE_CLS:  return "cls";
        case LLAMA_POOLING_TYPE_LAST: return "last";
        case LLAMA_POOLING_TYPE_RANK: return "rank";
        default:                      return "";
    }
}

}  // namespace

char * pyl_options_table(void) {
    return pyl::guarded(static_cast<char *>(nullptr), [] {
        pyl_options options;
        auto        table = common_json::array();
        for (const auto & option : options.context.options) {
            auto row           = common_json::object();
            row["args"]        = strings(option.args);
            row["args_neg"]    = strings(option.args_neg);
            row["env"]         = text_or_null(option.env);
            row["kind"]        = std::string(kind_of(option));
            row["hint"]        = text_or_null(option.value_hint);
            row["help"]        = option.help;
            row["is_sampling"] = option.is_sampling;
            table.push_back(row);
        }
        return pyl::to_c(table.dump_safe());
    });
}

pyl_options * pyl_options_new(void) {
    return pyl::guarded(static_cast<pyl_options *>(nullptr), [] { return new pyl_options(); });
}

void pyl_options_free(pyl_options * options) {
    delete options;
}

void pyl_options_cancel(pyl_options * options) {
    options->is_cancelled = true;
}

bool pyl_options_set(pyl_options * options, const char * arg, const char * value, const char * value2) {
    return pyl::guarded(false, [&] {
        const std::string name        = arg;
        bool              is_positive = true;
        common_arg *      option      = find(*options, name, is_positive);
        auto &            params      = options->params;
        if (option == nullptr) {
            throw std::invalid_argument("unknown option " + name);
        }
        if (is_for_programs(*option)) {
            throw std::invalid_argument(name + " prints, exits or changes the log, which a library does not");
        }
        check_values(*option, name, value, value2);
        if (option->handler_void) {
            option->handler_void(params);
        } else if (option->handler_bool) {
            option->handler_bool(params, is_positive);
        } else if (option->handler_int) {
            option->handler_int(params, to_int(required(value, name), name));
        } else if (option->handler_string) {
            option->handler_string(params, required(value, name));
        } else if (option->handler_str_str) {
            option->handler_str_str(params, required(value, name), required(value2, name));
        }
        return true;
    });
}

bool pyl_options_finish(pyl_options * options) {
    return pyl::guarded(false, [&] {
        auto & params = options->params;
        postprocess_cpu_params(params.cpuparams, nullptr);
        postprocess_cpu_params(params.cpuparams_batch, &params.cpuparams);
        // Both lists are C arrays to llama.cpp, which end at an empty entry.
        if (!params.kv_overrides.empty()) {
            params.kv_overrides.emplace_back();
            params.kv_overrides.back().key[0] = 0;
        }
        params.tensor_buft_overrides.resize(
            std::max(params.tensor_buft_overrides.size() + 1, llama_max_tensor_buft_overrides()), { nullptr, nullptr });
        if (!params.chat_template.empty() && !common_chat_verify_template(params.chat_template, params.use_jinja)) {
            throw std::invalid_argument("the chat template is not supported: " + params.chat_template);
        }
        return true;
    });
}

char * pyl_options_values(const pyl_options * options) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        const auto & p        = options->params;
        const auto & s        = p.sampling;
        auto         sampling = common_json::object({
            { "temperature",        s.temp               },
            { "top_k",              s.top_k              },
            { "top_p",              s.top_p              },
            { "min_p",              s.min_p              },
            { "typical_p",          s.typ_p              },
            { "top_n_sigma",        s.top_n_sigma        },
            { "xtc_probability",    s.xtc_probability    },
            { "xtc_threshold",      s.xtc_threshold      },
            { "dynatemp_range",     s.dynatemp_range     },
            { "dynatemp_exponent",  s.dynatemp_exponent  },
            { "repeat_last_n",      s.penalty_last_n     },
            { "repeat_penalty",     s.penalty_repeat     },
            { "presence_penalty",   s.penalty_present    },
            { "frequency_penalty",  s.penalty_freq       },
            { "dry_multiplier",     s.dry_multiplier     },
            { "dry_base",           s.dry_base           },
            { "dry_allowed_length", s.dry_allowed_length },
            { "dry_penalty_last_n", s.dry_penalty_last_n },
            { "mirostat",           s.mirostat           },
            { "mirostat_tau",       s.mirostat_tau       },
            { "mirostat_eta",       s.mirostat_eta       },
            { "adaptive_target",    s.adaptive_target    },
            { "adaptive_decay",     s.adaptive_decay     },
            { "ignore_eos",         s.ignore_eos         },
        });
        sampling["logit_bias"] = common_json::array();
        for (const auto & bias : s.logit_bias) {
            // JSON has no infinity: false bans a token.
            const bool is_ban = std::isinf(bias.bias) && bias.bias < 0;
            sampling["logit_bias"].push_back(common_json::array(
                { bias.token, is_ban ? common_json_value(false) : common_json_value(bias.bias) }));
        }
        sampling["seed"] = s.seed == LLAMA_DEFAULT_SEED ? int64_t(-1) : int64_t(s.seed);
        auto values      = common_json::object({
            { "model_path",   p.model.path                   },
            { "hf_repo",      p.model.hf_repo                },
            { "hf_file",      p.model.hf_file                },
            { "mmproj",       p.mmproj.path                  },
            { "n_ctx",        p.n_ctx                        },
            { "n_parallel",   p.n_parallel                   },
            { "n_batch",      p.n_batch                      },
            { "n_ubatch",     p.n_ubatch                     },
            { "n_predict",    p.n_predict                    },
            { "n_threads",    p.cpuparams.n_threads          },
            { "kv_unified",   p.kv_unified                   },
            { "swa_full",     p.swa_full                     },
            { "metrics",      p.endpoint_metrics             },
            { "embedding",    p.embedding                    },
            { "pooling",      pooling_name(p.pooling_type)   },
            { "embd_normalize", p.embd_normalize             },
            { "cache_prompt", p.cache_prompt                 },
            { "cache_ram",    p.cache_ram_mib                },
            { "use_jinja",    p.use_jinja                    },
            { "chat_template", p.chat_template               },
            { "template_kwargs", p.default_template_kwargs   },
            { "reasoning_format", common_reasoning_format_name(p.reasoning_format) },
            { "reasoning_budget", p.sampling.reasoning_budget_tokens },
            { "reasoning_budget_message", p.sampling.reasoning_budget_message },
            { "stop",         p.antiprompt                   },
            { "aliases",      p.model_alias                  },
            { "hostnames",    p.hostnames                    },
            { "port",         p.port                         },
            { "cors_origins", p.cors_origins                 },
        });
        values["sampling"] = sampling;
        auto spec_types    = common_json::array();
        for (const auto type : p.speculative.types) {
            spec_types.push_back(common_speculative_type_to_str(type));
        }
        values["spec_types"] = spec_types;
        return pyl::to_c(values.dump_safe());
    });
}

int32_t pyl_options_n_draft(const pyl_options * options) {
    return common_speculative_n_max(&options->params.speculative);
}
