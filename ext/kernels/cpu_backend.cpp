#include "cpu_backend.h"

#include <dlfcn.h>

namespace pyl::kernels {

bool cpu_backend::find() {
    const ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) {
        return false;
    }
    Dl_info library;
    if (dladdr(reinterpret_cast<void *>(ggml_backend_dev_backend_reg(device)->iface.get_name), &library) ==
        0) {
        return false;
    }
    void * const handle = dlopen(library.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (handle == nullptr) {
        return false;
    }
    const auto symbol = [&](auto & function, const char * name) {
        function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(handle, name));
        return function != nullptr;
    };
    return symbol(buffer_types, "_Z39ggml_backend_cpu_get_extra_buffer_typesv") &&
           symbol(barrier, "ggml_barrier") && symbol(chunk_set, "ggml_threadpool_chunk_set") &&
           symbol(chunk_add, "ggml_threadpool_chunk_add");
}

cpu_backend & backend() {
    static cpu_backend backend;
    return backend;
}

}  // namespace pyl::kernels
