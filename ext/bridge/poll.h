// Long work on behalf of a caller who may lose interest. Internal to the bridge.

#pragma once

#include "bridge.h"

#include <chrono>

namespace pyl {

// Thrown by the poll where the caller wants no more. No std::exception: llama-common turns those
// into answers of its own.
struct interrupted {};

// While there is one, the calling thread asks every now and then whether to go on.
class polled {
  public:
    polled();
    ~polled();

    polled(const polled &)             = delete;
    polled & operator=(const polled &) = delete;

    // Throws `interrupted` where the caller wants no more; mostly only reads the clock.
    static void poll();

  private:
    std::chrono::steady_clock::time_point next;
    polled *                              outer;
};

}  // namespace pyl
