#include "worker_pool.h"

#include "guard.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace pyl {

namespace {

constexpr int MAX_THREADS = 64;

}  // namespace

worker_pool::worker_pool(int n_threads) : process_(pyl_process_id()) {
    const int n_started = std::min(n_threads, MAX_THREADS) - 1;
    try {
        for (int i = 0; i < n_started; ++i) {
            threads_.emplace_back([this] { serve(); });
        }
    } catch (const std::system_error &) {
        // The system has no more of them: those that there are do the work.
    }
}

worker_pool::~worker_pool() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        is_stopping_ = true;
    }
    wake_.notify_all();
    for (auto & thread : threads_) {
        thread.join();
    }
}

bool worker_pool::is_forked() const {
    return process_ != pyl_process_id();
}

void worker_pool::run(size_t n, const std::function<void(size_t)> & work) {
    std::unique_lock<std::mutex> turn(in_use_, std::defer_lock);
    if (n < 2 || threads_.empty() || is_forked() || !turn.try_lock()) {
        for (size_t i = 0; i < n; ++i) {
            work(i);
        }
        return;
    }
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        work_  = &work;
        n_     = n;
        next_  = 0;
        error_ = nullptr;
        ++generation_;
    }
    const size_t n_wanted = std::min(n - 1, threads_.size());
    for (size_t i = 0; i < n_wanted; ++i) {
        wake_.notify_one();
    }
    take();
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return n_busy_ == 0; });
    // A thread that wakes up only now finds nothing to do.
    work_ = nullptr;
    if (error_) {
        std::rethrow_exception(error_);
    }
}

void worker_pool::serve() {
    size_t                       seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
        wake_.wait(lock, [&] { return is_stopping_ || generation_ != seen; });
        if (is_stopping_) {
            return;
        }
        seen = generation_;
        if (work_ == nullptr) {
            continue;
        }
        ++n_busy_;
        lock.unlock();
        take();
        lock.lock();
        if (--n_busy_ == 0) {
            done_.notify_one();
        }
    }
}

void worker_pool::take() {
    for (size_t i = next_++; i < n_; i = next_++) {
        try {
            (*work_)(i);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) {
                error_ = std::current_exception();
            }
        }
    }
}

}  // namespace pyl

pyl_pool * pyl_pool_new(int32_t n_threads) {
    return pyl::guarded(static_cast<pyl_pool *>(nullptr), [&] {
        if (n_threads < 1) {
            throw std::invalid_argument("a pool needs at least one thread");
        }
        return new pyl_pool(n_threads);
    });
}

void pyl_pool_free(pyl_pool * pool) {
    // The threads are not in a forked process, where joining them, and freeing what they wait on, never ends.
    if (pool != nullptr && !pool->is_forked()) {
        delete pool;
    }
}
