// A KV cache is cleared when it is made. Writing the zeros takes memory for every cell that a
// conversation might ever use: 750 MB for 32k cells of a model whose weights are 90 MB. Fresh
// anonymous pages are zero anyway, and cost nothing until somebody writes to them.

#include "lazy_memory.h"

#if defined(__linux__)

#    include "ggml-backend-impl.h"

#    include <cstdint>
#    include <cstring>
#    include <mutex>
#    include <sys/mman.h>
#    include <unistd.h>

namespace {

decltype(ggml_backend_buffer_type_i::alloc_buffer) allocate = nullptr;

void clear(ggml_backend_buffer_t buffer, uint8_t value) {
    auto * const    start      = static_cast<uint8_t *>(ggml_backend_buffer_get_base(buffer));
    auto * const    end        = start + ggml_backend_buffer_get_size(buffer);
    const uintptr_t page       = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    auto * const    first_page = reinterpret_cast<uint8_t *>((reinterpret_cast<uintptr_t>(start) + page - 1) & ~(page - 1));
    auto * const    last_page  = reinterpret_cast<uint8_t *>(reinterpret_cast<uintptr_t>(end) & ~(page - 1));
    // SAFETY: the pages between are the buffer's alone: private and anonymous, as malloc gives them.
    // Locked ones are refused.
    if (value != 0 || first_page >= last_page ||
        madvise(first_page, static_cast<size_t>(last_page - first_page), MADV_DONTNEED) != 0) {
        std::memset(start, value, static_cast<size_t>(end - start));
        return;
    }
    std::memset(start, 0, static_cast<size_t>(first_page - start));
    std::memset(last_page, 0, static_cast<size_t>(end - last_page));
}

ggml_backend_buffer_t allocate_lazily(ggml_backend_buffer_type_t type, size_t size) {
    ggml_backend_buffer_t buffer = allocate(type, size);
    if (buffer != nullptr) {
        buffer->iface.clear = clear;
    }
    return buffer;
}

}  // namespace

void pyl::make_host_memory_lazy() {
    static std::once_flag once;
    std::call_once(once, [] {
        auto & iface       = ggml_backend_cpu_buffer_type()->iface;
        allocate           = iface.alloc_buffer;
        iface.alloc_buffer = allocate_lazily;
    });
}

#else

// Elsewhere the advice means something else, or nothing: llama.cpp writes its zeros.
void pyl::make_host_memory_lazy() {}

#endif
