// What the kernels use of ggml's CPU backend. Its library is not linked: a wheel has one for every kind
// of processor and loads the one that fits, so the functions are looked up where they are.

#pragma once

#include "ggml-cpu/traits.h"

#include <cstdint>

namespace pyl::kernels {

struct cpu_backend {
    decltype(&ggml_backend_cpu_get_extra_buffer_types) buffer_types = nullptr;
    decltype(&ggml_barrier)                            barrier      = nullptr;
    decltype(&ggml_threadpool_chunk_set)               chunk_set    = nullptr;
    decltype(&ggml_threadpool_chunk_add)               chunk_add    = nullptr;

    // False where the library does not show them.
    bool find();

    // Before share(), by all threads: what each wrote until now is seen by all.
    void gather(const ggml_compute_params * params) const {
        if (params->ith == 0) {
            chunk_set(params->threadpool, params->nth);
        }
        barrier(params->threadpool);
    }

    // Chunks of work: each thread takes one, then whichever is left.
    template <typename Work>
    void share(const ggml_compute_params * params, int64_t n_chunks, Work && work) const {
        for (int64_t i = params->ith; i < n_chunks; i = chunk_add(params->threadpool, 1)) {
            work(i);
        }
    }
};

// The one of this process; found before any operation runs.
cpu_backend & backend();

}  // namespace pyl::kernels
