#include "bridge.h"
#include "guard.h"
#include "read_json.h"

#include "chat-auto-parser.h"
#include "chat-peg-parser.h"
#include "chat.h"
#include "json-schema-to-grammar.h"
#include "json.h"

#include <stdexcept>

struct pyl_chat {
    common_chat_templates_ptr templates;
    bool                      use_jinja;
};

namespace {

// How an answer calls tools under a template that knows none. Models that were trained on calls
// have mostly seen this form.
const char * const CALL_START = "<tool_call>";
const char * const CALL_END   = "</tool_call>";

common_chat_continuation read_continuation(const common_json & request) {
    if (!request.contains("continue_final_message")) {
        return COMMON_CHAT_CONTINUATION_NONE;
    }
    return common_chat_continuation_parse(request.at("continue_final_message"));
}

common_chat_templates_inputs read_inputs(const pyl_chat & chat, const common_json & request) {
    common_chat_templates_inputs inputs;
    inputs.messages               = common_chat_msgs_parse_oaicompat(request.at("messages"));
    inputs.use_jinja              = chat.use_jinja;
    inputs.add_generation_prompt  = request.value("add_generation_prompt", true);
    inputs.enable_thinking        = request.value("enable_thinking", true);
    inputs.parallel_tool_calls    = request.value("parallel_tool_calls", false);
    inputs.force_pure_content     = request.value("prompt_only", false);
    inputs.continue_final_message = read_continuation(request);
    inputs.reasoning_format  = common_reasoning_format_from_name(request.value("reasoning_format", std::string("auto")));
    inputs.tool_choice       = common_chat_tool_choice_parse_oaicompat(request.value("tool_choice", std::string("auto")));
    if (inputs.continue_final_message != COMMON_CHAT_CONTINUATION_NONE) {
        inputs.add_generation_prompt = false;
    }
    if (request.contains("tools")) {
        inputs.tools = common_chat_tools_parse_oaicompat(request.at("tools"));
    }
    if (request.contains("json_schema")) {
        inputs.json_schema = request.at("json_schema").dump();
    }
    if (request.contains("chat_template_kwargs")) {
        const auto & kwargs = request.at("chat_template_kwargs");
        if (!kwargs.is_object()) {
            throw std::invalid_argument("chat_template_kwargs must be an object");
        }
        for (const auto & item : kwargs.items()) {
            inputs.chat_template_kwargs[item.key()] = item.value().dump();
        }
    }
    return inputs;
}

common_json to_json(const common_chat_params & params) {
    auto triggers = common_json::array();
    for (const auto & trigger : params.grammar_triggers) {
        triggers.push_back(common_json::object({ { "type", int(trigger.type) }, { "value", trigger.value } }));
    }
    auto answer = common_json::object({
        { "prompt",            params.prompt             },
        { "generation_prompt", params.generation_prompt  },
        { "format",            int(params.format)        },
        { "parser",            params.parser             },
        { "grammar",           params.grammar            },
        { "grammar_lazy",      params.grammar_lazy       },
        { "additional_stops",  params.additional_stops   },
        { "preserved_tokens",  params.preserved_tokens   },
        { "thinking_start",    params.thinking_start_tag },
        { "thinking_ends",     params.thinking_end_tags  },
    });
    answer["grammar_triggers"] = triggers;
    return answer;
}

// Whether llama-common has a handler of its own for a template. Such a handler may rewrite messages
// before they are rendered, and a prompt that is only rendered would lack that.
bool is_specialized(const std::string & source) {
    if (source.empty()) {
        return false;
    }
    const common_chat_template    chat_template(source, "", "");
    autoparser::generation_params params;
    params.messages = common_json::array();
    params.messages.push_back(common_json::object({ { "role", "user" }, { "content", "x" } }));
    params.extra_context = common_json::object();
    try {
        return common_chat_try_specialized_template(chat_template, source, params).has_value();
    } catch (const std::exception &) {
        return true;
    }
}

common_chat_params generic_tools(const common_json & request) {
    const auto & tools        = request.at("tools");
    const bool   is_required  = request.at("tool_choice").get<std::string>() == "required";
    const bool   is_parallel  = request.at("parallel_tool_calls").get<bool>();
    const auto   start        = request.at("thinking_start").get<std::string>();
    const auto   ends         = request.at("thinking_ends").get<std::vector<std::string>>();

    common_chat_params params;
    params.format            = COMMON_CHAT_FORMAT_PEG_NATIVE;
    params.generation_prompt = request.at("generation_prompt").get<std::string>();
    params.grammar_lazy      = !is_required;
    const auto parser        = build_chat_peg_parser([&](common_chat_peg_builder & p) {
        auto reasoning = p.eps();
        if (!start.empty() && !ends.empty()) {
            auto end = p.choice();
            for (const auto & text : ends) {
                end |= p.literal(text);
            }
            reasoning = p.optional(p.literal(start) + p.reasoning(p.until_one_of(ends)) + end + p.space());
        }
        auto calls = p.standard_json_tools(CALL_START, CALL_END, tools, is_parallel, is_required);
        return p.prefix(params.generation_prompt, start) + reasoning +
               p.optional(p.content(p.until(CALL_START))) + calls + p.end();
    });
    params.parser            = parser.save();
    params.grammar           = build_grammar(
        [&](const common_grammar_builder & builder) { parser.build_grammar(builder, params.grammar_lazy); });
    if (params.grammar_lazy) {
        params.grammar_triggers = { { COMMON_GRAMMAR_TRIGGER_TYPE_WORD, CALL_START } };
    }
    return params;
}

// What a parser's text may be, as a grammar in which content is the rule `answer`.
std::string content_grammar(const std::string & parser) {
    auto json = common_json::parse(parser);
    for (auto & node : json["parsers"]) {
        if (node.at("type") == "tag" && node.at("tag") == common_chat_peg_builder::CONTENT) {
            const auto child = node.at("child").get<int64_t>();
            node = common_json::object({ { "type", "gbnf" }, { "child", child }, { "grammar", "answer" } });
        }
    }
    common_peg_arena arena;
    arena.load(json.dump());
    return build_grammar([&](const common_grammar_builder & builder) { arena.build_grammar(builder, /* lazy= */ false); });
}

}  // namespace

pyl_chat * pyl_chat_new(const llama_model * model, const char * template_override, bool use_jinja) {
    return pyl::guarded(static_cast<pyl_chat *>(nullptr), [&] {
        const std::string source = template_override == nullptr ? "" : template_override;
        return new pyl_chat{ common_chat_templates_init(model, source), use_jinja };
    });
}

void pyl_chat_free(pyl_chat * chat) {
    delete chat;
}

char * pyl_chat_source(const pyl_chat * chat) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        return pyl::to_c(common_chat_templates_source(chat->templates.get()));
    });
}

char * pyl_chat_caps(const pyl_chat * chat) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        const auto * templates = chat->templates.get();
        auto         caps      = common_json(common_chat_templates_get_caps(templates));
        caps["is_specialized"] = chat->use_jinja && (is_specialized(common_chat_templates_source(templates)) ||
                                                     is_specialized(common_chat_templates_source(templates, "tool_use")));
        return pyl::to_c(caps.dump());
    });
}

char * pyl_chat_apply(const pyl_chat * chat, const char * request) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        const pyl::polled polled;
        const auto inputs = read_inputs(*chat, pyl::read_json(request));
        pyl::polled::poll();
        const auto result = common_chat_templates_apply(chat->templates.get(), inputs);
        return pyl::to_c(to_json(result).dump_safe());
    });
}

char * pyl_chat_generic_tools(const char * request) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        return pyl::to_c(to_json(generic_tools(pyl::read_json(request))).dump_safe());
    });
}

char * pyl_schema_grammar(const char * schema) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        return pyl::to_c(json_schema_to_grammar(pyl::read_json(schema), /* force_gbnf= */ true));
    });
}

char * pyl_content_grammar(const char * parser) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] { return pyl::to_c(content_grammar(parser)); });
}
