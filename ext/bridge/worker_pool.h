// A few threads that share the rows of one call. Internal to the bridge.

#pragma once

#include "bridge.h"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pyl {

// The calling thread works as well, so that a pool of n threads starts n - 1.
class worker_pool {
  public:
    explicit worker_pool(int n_threads);
    ~worker_pool();
    worker_pool(const worker_pool &)             = delete;
    worker_pool & operator=(const worker_pool &) = delete;

    // Calls work(0) ... work(n - 1), each once and in any order, and returns when all have ended.
    // Rethrows the first exception. A second caller at the same time does its work alone.
    void run(size_t n, const std::function<void(size_t)> & work);

    // Whether this is another process than the one that has the threads.
    bool is_forked() const;

  private:
    void serve();
    void take();

    const int                           process_;
    std::vector<std::thread>            threads_;
    std::mutex                          in_use_;
    std::mutex                          mutex_;
    std::condition_variable             wake_;
    std::condition_variable             done_;
    const std::function<void(size_t)> * work_ = nullptr;  // null between runs
    size_t                              n_    = 0;
    std::atomic<size_t>                 next_{ 0 };
    size_t                              n_busy_      = 0;
    size_t                              generation_  = 0;
    bool                                is_stopping_ = false;
    std::exception_ptr                  error_;
};

}  // namespace pyl

// What the C face calls a pool.
struct pyl_pool : pyl::worker_pool {
    using worker_pool::worker_pool;
};
