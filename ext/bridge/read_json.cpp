#include "read_json.h"

#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr size_t MAX_MEMBERS = 1000;

void check_members(const char * text) {
    std::vector<size_t> counts;  // of the objects that are open
    bool                in_string = false;
    for (const char * c = text; *c != 0; c++) {
        if (in_string) {
            if (*c == '\\' && c[1] != 0) {
                c++;
            } else if (*c == '"') {
                in_string = false;
            }
        } else if (*c == '"') {
            in_string = true;
        } else if (*c == '{') {
            counts.push_back(0);
        } else if (*c == '}' && !counts.empty()) {
            counts.pop_back();
        } else if (*c == ':' && !counts.empty() && ++counts.back() > MAX_MEMBERS) {
            throw std::runtime_error("an object has more than " + std::to_string(MAX_MEMBERS) + " members");
        }
    }
}

}  // namespace

common_json pyl::read_json(const char * text) {
    check_members(text);
    return common_json::parse(text);
}
