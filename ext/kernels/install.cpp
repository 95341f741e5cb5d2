// The kernels' place in ggml: a buffer type of the CPU backend, as ggml's own repacked weights have.
//
// Such a type is asked first when a weight is given its memory, and again before every operation is
// computed: it can pack weights in its own way, and can take over operations on anything. No graph is
// cut, no thread is added, llama.cpp is not changed. The list of these types is the CPU backend's own
// business; where it is not to be found, ggml's kernels do the work.

#include "bridge.h"

#if defined(PYLLAMA_KERNELS_AVX512)

#    include "attention.h"
#    include "cpu_backend.h"
#    include "operations.h"
#    include "pack.h"

#    include <algorithm>
#    include <mutex>

namespace ggml::cpu {
extra_buffer_type::~extra_buffer_type() = default;
}  // namespace ggml::cpu

namespace pyl::kernels {

namespace {

ggml_backend_buffer_type * buffer_type();

// Asked before every operation which of our kernels, if any, computes it.
class dispatcher : public ggml::cpu::extra_buffer_type {
  public:
    bool supports_op(ggml_backend_dev_t, const ggml_tensor * op) override {
        return op->op == GGML_OP_MUL_MAT && is_ours(op->src[0]) && is_packable(op->src[0]) &&
               op->src[1]->type == GGML_TYPE_F32 &&
               (op->src[1]->buffer == nullptr || ggml_backend_buft_is_host(op->src[1]->buffer->buft));
    }

    ggml::cpu::tensor_traits * get_tensor_traits(const ggml_tensor * op) override {
        // What has no results is planned, though never computed.
        if (ggml_is_empty(op)) {
            return nullptr;
        }
        if (op->op == GGML_OP_MUL_MAT && is_ours(op->src[0])) {
            return &matmul_operation();
        }
        return is_attention_supported(op) ? &attention_operation() : nullptr;
    }

  private:
    static bool is_ours(const ggml_tensor * tensor) {
        return tensor->buffer != nullptr && tensor->buffer->buft == buffer_type();
    }
};

void set_tensor(ggml_backend_buffer_t, ggml_tensor * tensor, const void * data, size_t offset, size_t size) {
    GGML_ASSERT(offset == 0 && size == ggml_nbytes(tensor));
    pack(tensor, data, tensor->data);
}

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
    if (buffer != nullptr) {
        buffer->buft             = type;
        buffer->iface.set_tensor = set_tensor;
        buffer->iface.get_tensor = nullptr;
        buffer->iface.cpy_tensor = nullptr;
    }
    return buffer;
}

ggml_backend_buffer_type * buffer_type() {
    static dispatcher               kernels;
    static ggml_backend_buffer_type type{
        {
            [](ggml_backend_buffer_type_t) { return "CPU_PYLLAMA"; },
            allocate,
            [](ggml_backend_buffer_type_t) -> size_t { return 64; },
            nullptr,
            [](ggml_backend_buffer_type_t, const ggml_tensor * tensor) {
                return is_packable(tensor) ? std::max(packed_size(tensor), ggml_nbytes(tensor))
                                           : ggml_nbytes(tensor);
            },
            nullptr,
        },
        ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU),
        &kernels,
    };
    return &type;
}

bool is_supported() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

}  // namespace

}  // namespace pyl::kernels

const char * pyl_install_kernels(void) {
    using namespace pyl::kernels;
    static std::once_flag once;
    static const char *   name = "";
    std::call_once(once, [] {
        if (is_supported() && backend().find()) {
            auto & types = backend().buffer_types();
            types.insert(types.begin(), buffer_type());
            name = "avx512";
        }
    });
    return name;
}

#else

const char * pyl_install_kernels(void) {
    return "";
}

#endif
