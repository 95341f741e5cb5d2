#include "bridge.h"
#include "guard.h"
#include "options.h"

#include <ggml-backend.h>
#include <ggml-cpu.h>

#include <memory>
#include <stdexcept>

namespace {

// ggml's functions for its thread pools, in whichever library the CPU backend was loaded from.
struct pool_functions {
    decltype(&ggml_threadpool_new)  make    = nullptr;
    decltype(&ggml_threadpool_free) release = nullptr;

    pool_functions() {
        const ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
        if (device == nullptr) {
            throw std::runtime_error("there is no CPU backend");
        }
        const ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(device);
        make    = reinterpret_cast<decltype(make)>(ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new"));
        release = reinterpret_cast<decltype(release)>(ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free"));
        if (make == nullptr || release == nullptr) {
            throw std::runtime_error("the CPU backend has no thread pools");
        }
    }
};

const pool_functions & functions() {
    static const pool_functions found;
    return found;
}

struct pool_deleter {
    void operator()(ggml_threadpool * pool) const { functions().release(pool); }
};

using pool_ptr = std::unique_ptr<ggml_threadpool, pool_deleter>;

pool_ptr make_pool(const common_cpu_params & params, int n_threads, bool is_paused) {
    ggml_threadpool_params pool = ggml_threadpool_params_from_cpu_params(params);
    pool.n_threads              = n_threads;
    pool.paused                 = is_paused;
    pool_ptr made(functions().make(&pool));
    if (made == nullptr) {
        throw std::runtime_error("the threads could not be started");
    }
    return made;
}

}  // namespace

struct pyl_threads {
    const int32_t process = pyl_process_id();
    pool_ptr      many;  // for several tokens at once; null where the other pool has as many threads
    pool_ptr      one;   // for one token
};

pyl_threads * pyl_threads_new(const pyl_options * options, int32_t n_threads, int32_t n_threads_batch) {
    return pyl::guarded(static_cast<pyl_threads *>(nullptr), [&] {
        auto       threads   = std::make_unique<pyl_threads>();
        const bool is_shared = n_threads == n_threads_batch;
        if (!is_shared) {
            threads->many = make_pool(options->params.cpuparams_batch, n_threads_batch, false);
        }
        // llama.cpp resumes the one that it computes on, and pauses the other.
        threads->one = make_pool(options->params.cpuparams, n_threads, !is_shared);
        return threads.release();
    });
}

void pyl_threads_attach(const pyl_threads * threads, llama_context * ctx) {
    llama_attach_threadpool(ctx, threads->one.get(), threads->many.get());
}

void pyl_threads_free(pyl_threads * threads) {
    // A forked process has no such threads, and would wait for them for ever.
    if (threads != nullptr && threads->process == pyl_process_id()) {
        delete threads;
    }
}
