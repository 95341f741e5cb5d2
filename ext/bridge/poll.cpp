#include "poll.h"

#include "llama-cpp.h"

#include <atomic>

namespace {

// Often enough for a client that left to be noticed in a quarter of a second, and so seldom that
// the interpreter's lock, which the look takes, is not felt.
constexpr auto INTERVAL = std::chrono::milliseconds(50);

std::atomic<pyl_look> g_look{ nullptr };

thread_local pyl::polled * t_polled = nullptr;

}  // namespace

namespace pyl {

polled::polled() : next(std::chrono::steady_clock::now() + INTERVAL), outer(t_polled) {
    t_polled = this;
}

polled::~polled() {
    t_polled = outer;
}

void polled::poll() {
    polled * const self = t_polled;
    if (self == nullptr) {
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now < self->next) {
        return;
    }
    self->next      = now + INTERVAL;
    const auto look = g_look.load(std::memory_order_acquire);
    if (look != nullptr && look() == 0) {
        throw interrupted();
    }
}

}  // namespace pyl

void pyl_set_look(pyl_look look) {
    g_look.store(look, std::memory_order_release);
#ifdef LLAMA_POLL_HOOK  // a llama.cpp of one's own may lack it: then what is in there runs to its end
    llama_poll_hook = pyl::polled::poll;
#endif
}
