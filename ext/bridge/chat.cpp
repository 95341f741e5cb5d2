#include "bridge.h"
#include "guard.h"

#include "chat.h"
#include "json.h"

#include <stdexcept>

struct pyl_chat {
    common_chat_templates_ptr templates;
    bool                      use_jinja;
};

namespace {

common_chat_templates_inputs read_inputs(const pyl_chat & chat, const common_json & request) {
    common_chat_templates_inputs inputs;
    inputs.messages              = common_chat_msgs_parse_oaicompat(request.at("messages"));
    inputs.use_jinja             = chat.use_jinja;
    inputs.add_generation_prompt = request.value("add_generation_prompt", true);
    inputs.enable_thinking       = request.value("enable_thinking", true);
    if (request.contains("chat_template_kwargs")) {
        const auto & kwargs = request.at("chat_template_kwargs");
        if (!kwargs.is_object()) {
            throw std::invalid_argument("chat_template_kwargs must be an object");
        }
        for (const auto & item : kwargs.items()) {
            inputs.chat_template_kwargs[item.key()] = item.value().dump();
        }
    }
    // A last message by the assistant is continued instead of answered.
    if (inputs.add_generation_prompt && !inputs.messages.empty() && inputs.messages.back().role == "assistant") {
        inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
        inputs.add_generation_prompt  = false;
    }
    return inputs;
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
        return pyl::to_c(common_json(common_chat_templates_get_caps(chat->templates.get())).dump());
    });
}

char * pyl_chat_apply(const pyl_chat * chat, const char * request) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        const auto inputs = read_inputs(*chat, common_json::parse(request));
        const auto result = common_chat_templates_apply(chat->templates.get(), inputs);
        auto       answer = common_json::object({
            { "prompt",            result.prompt            },
            { "generation_prompt", result.generation_prompt },
            { "additional_stops",  result.additional_stops  },
            { "preserved_tokens",  result.preserved_tokens  },
            { "format",            int(result.format)       },
        });
        return pyl::to_c(answer.dump_safe());
    });
}
