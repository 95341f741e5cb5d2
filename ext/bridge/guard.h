// Turns C++ exceptions into the bridge's error convention. Internal to the bridge.

#pragma once

#include "poll.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

namespace pyl {

// Reason of the last failure on this thread.
std::string & last_error();

// Runs a function; on an exception keeps its message and returns the fallback.
template <typename F, typename R> R guarded(R fallback, F && function) noexcept {
    try {
        return function();
    } catch (const std::exception & e) {
        last_error() = e.what();
    } catch (const interrupted &) {
        last_error() = "interrupted";
    } catch (...) {
        last_error() = "unknown C++ exception";
    }
    return fallback;
}

// A copy for the caller to free with pyl_free().
inline char * to_c(const std::string & text) {
    char * copy = static_cast<char *>(std::malloc(text.size() + 1));
    if (copy == nullptr) {
        throw std::bad_alloc();
    }
    std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

}  // namespace pyl
