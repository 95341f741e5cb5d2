// Runs a function on a thread of its own. Internal to the bridge.

#pragma once

#include <exception>
#include <thread>

namespace pyl {

// Waits for the function, and throws what it throws.
//
// An OpenMP runtime keeps the threads that computed for a thread until that ends, and counts them.
// Where there are more of them than processors, GNU's no longer lets those that wait for each other
// spin: with two threads every token then takes a fifth longer. So a thread that computes once, and
// lives on, must not do so itself.
template <typename F> void on_passing_thread(F && function) {
    std::exception_ptr error;
    std::thread        thread([&] {
        try {
            function();
        } catch (...) {
            error = std::current_exception();
        }
    });
    thread.join();
    if (error) {
        std::rethrow_exception(error);
    }
}

}  // namespace pyl
