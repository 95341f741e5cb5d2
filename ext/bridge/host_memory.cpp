// Two things that llama.cpp leaves to the system's defaults.
//
// Weights are read from end to end for every token: in pages of 4 KiB the processor spends a good
// part of that time looking up addresses. In large pages one stream decodes a quarter faster
// (135M parameters at 4 bits, two cores).
//
// A KV cache is cleared when it is made. Writing the zeros takes memory for every cell that a
// conversation might ever use: 750 MB for 32k cells of a model whose weights are 90 MB. Fresh
// anonymous pages are zero anyway, and cost nothing until somebody writes to them. They stay small:
// a large page would be taken whole for its first cell.

#include "host_memory.h"

#if defined(__linux__)

#    include "ggml-backend-impl.h"

#    include <cstdint>
#    include <cstring>
#    include <mutex>
#    include <sys/mman.h>
#    include <unistd.h>

namespace {

decltype(ggml_backend_buffer_type_i::alloc_buffer) allocate = nullptr;

// The whole pages within a buffer: private and anonymous, as malloc gives them, and nobody else's.
struct pages {
    uint8_t * start;
    uint8_t * end;

    explicit pages(ggml_backend_buffer_t buffer) {
        const auto page  = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
        const auto first = reinterpret_cast<uintptr_t>(ggml_backend_buffer_get_base(buffer));
        const auto last  = first + ggml_backend_buffer_get_size(buffer);
        start            = reinterpret_cast<uint8_t *>((first + page - 1) & ~(page - 1));
        end              = reinterpret_cast<uint8_t *>(last & ~(page - 1));
    }

    // Only advice: a kernel that does not know it, or pages that are locked, refuse it.
    bool advise(int advice) const {
        return start < end && madvise(start, static_cast<size_t>(end - start), advice) == 0;
    }
};

void clear(ggml_backend_buffer_t buffer, uint8_t value) {
    auto * const data = static_cast<uint8_t *>(ggml_backend_buffer_get_base(buffer));
    const size_t size = ggml_backend_buffer_get_size(buffer);
    const pages  whole(buffer);
    if (value != 0) {
        std::memset(data, value, size);
        return;
    }
    whole.advise(MADV_NOHUGEPAGE);
    if (!whole.advise(MADV_DONTNEED)) {
        std::memset(data, 0, size);
        return;
    }
    std::memset(data, 0, static_cast<size_t>(whole.start - data));
    std::memset(whole.end, 0, static_cast<size_t>(data + size - whole.end));
}

ggml_backend_buffer_t allocate_tuned(ggml_backend_buffer_type_t type, size_t size) {
    ggml_backend_buffer_t buffer = allocate(type, size);
    if (buffer != nullptr) {
        buffer->iface.clear = clear;
        pages(buffer).advise(MADV_HUGEPAGE);
    }
    return buffer;
}

}  // namespace

void pyl::tune_host_memory() {
    static std::once_flag once;
    std::call_once(once, [] {
        auto & iface       = ggml_backend_cpu_buffer_type()->iface;
        allocate           = iface.alloc_buffer;
        iface.alloc_buffer = allocate_tuned;
    });
}

#else

// Elsewhere the advice means something else, or nothing.
void pyl::tune_host_memory() {}

#endif
