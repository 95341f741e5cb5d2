#include "bridge.h"
#include "guard.h"

#include "chat-peg-parser.h"
#include "chat.h"
#include "json.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <variant>

struct pyl_chat_parser {
    common_chat_parser_params params;
};

namespace {

// The parser of nested values calls itself, and a stack overflow would end the process. A level took
// less than 4 KiB of stack; a thread has 8 MiB.
constexpr int MAX_DEPTH = 512;

// No parser of nested values nests deeper than the brackets of its input do.
void check_depth(const std::string & text) {
    int depth = 0;
    for (const char c : text) {
        if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH) {
                throw std::length_error("the brackets of the text nest deeper than " + std::to_string(MAX_DEPTH));
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            --depth;
        }
    }
}

std::unique_ptr<common_chat_peg_mapper> make_mapper(common_chat_format format, common_chat_msg & message) {
    switch (format) {
        case COMMON_CHAT_FORMAT_PEG_GEMMA4:
            return std::make_unique<common_chat_peg_gemma4_mapper>(message);
        case COMMON_CHAT_FORMAT_PEG_MINIMAX_M3:
            return std::make_unique<common_chat_peg_minimax_m3_mapper>(message);
        default:
            return std::make_unique<common_chat_peg_mapper>(message);
    }
}

common_json write_message(const common_chat_msg & message) {
    auto calls = common_json::array();
    for (const auto & call : message.tool_calls) {
        calls.push_back(common_json::object({
            { "id",        call.id        },
            { "name",      call.name      },
            { "arguments", call.arguments },
        }));
    }
    return common_json::object({
        { "content",    message.content           },
        { "reasoning",  message.reasoning_content },
        { "tool_calls", calls                     },
    });
}

}  // namespace

pyl_chat_parser * pyl_chat_parser_new(const char * params) {
    return pyl::guarded(static_cast<pyl_chat_parser *>(nullptr), [&] {
        const auto json   = common_json::parse(params);
        const int  format = json.at("format").get<int>();
        if (format < 0 || format >= COMMON_CHAT_FORMAT_COUNT) {
            throw std::invalid_argument("there is no chat format " + std::to_string(format));
        }
        auto parser = std::make_unique<pyl_chat_parser>();
        auto & to   = parser->params;

        to.format            = static_cast<common_chat_format>(format);
        to.generation_prompt = json.at("generation_prompt").get<std::string>();
        to.reasoning_format  = common_reasoning_format_from_name(json.at("reasoning_format").get<std::string>());
        to.parse_tool_calls  = json.at("parse_tool_calls").get<bool>();
        to.is_continuation   = json.at("is_continuation").get<bool>();
        to.parser.load(json.at("parser").get<std::string>());
        return parser.release();
    });
}

void pyl_chat_parser_free(pyl_chat_parser * parser) {
    delete parser;
}

char * pyl_chat_parser_delimiters(const pyl_chat_parser * parser) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        auto         delimiters = common_json::array();
        const auto & arena      = parser->params.parser;
        for (size_t id = 0; id < arena.size(); ++id) {
            if (const auto * until = std::get_if<common_peg_until_parser>(&arena.get(id))) {
                for (const auto & delimiter : until->delimiters) {
                    delimiters.push_back(delimiter);
                }
            }
        }
        return pyl::to_c(delimiters.dump_safe());
    });
}

char * pyl_chat_parser_parse(const pyl_chat_parser * parser, const char * text, size_t text_len) {
    return pyl::guarded(static_cast<char *>(nullptr), [&] {
        const auto &      params = parser->params;
        const std::string input  = params.generation_prompt + std::string(text, text_len);
        check_depth(input);
        common_peg_parse_context context(input, COMMON_PEG_PARSE_FLAG_LENIENT);
        const auto               result = params.parser.parse(context);
        if (result.fail()) {
            throw std::runtime_error("the text is not in the format");
        }
        common_chat_msg message;
        make_mapper(params.format, message)->from_ast(context.ast, result);
        auto answer = write_message(message);
        // common_chat_parse() drops a rest without a word, which is why it is not called here.
        answer["rest"]    = result.success() ? input.substr(std::min(result.end, input.size())) : "";
        answer["is_open"] = result.need_more_input();
        return pyl::to_c(answer.dump_safe());
    });
}
