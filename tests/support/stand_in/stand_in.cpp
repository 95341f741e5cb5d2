// The kernels beside those of the process, as a library of its own that the tests load: compiled with
// another <immintrin.h>, put in place as install.cpp does, and with a switch.

#include "install.cpp"

#include <atomic>

namespace {

using namespace pyl::kernels;

bool              is_on = false;
std::atomic<long> n_taken{0};

class switched : public dispatcher {
  public:
    bool supports_op(ggml_backend_dev_t device, const ggml_tensor * op) override {
        return is_on && dispatcher::supports_op(device, op);
    }

    ggml::cpu::tensor_traits * get_tensor_traits(const ggml_tensor * op) override {
        auto * const operation = is_on ? dispatcher::get_tensor_traits(op) : nullptr;
        n_taken += operation != nullptr;
        return operation;
    }
};

}  // namespace

extern "C" {

// False where ggml does not show what the kernels need. Once, before any model is loaded: ggml asks for the
// list of these types at the first and keeps it.
__attribute__((visibility("default"))) bool stand_in_install(void) {
    static switched kernels;
    if (!backend().find()) {
        return false;
    }
    buffer_type()->iface.get_name = [](ggml_backend_buffer_type_t) { return "CPU_PYLLAMA_STAND_IN"; };
    buffer_type()->context        = &kernels;
    auto & types                  = backend().buffer_types();
    types.insert(types.begin(), buffer_type());
    return true;
}

// While nothing is computed. Models that are loaded while it is on can compute while it is on.
__attribute__((visibility("default"))) void stand_in_switch(int on) {
    is_on = on != 0;
}

// How often it was asked for an operation and had it.
__attribute__((visibility("default"))) long stand_in_n_taken(void) {
    return n_taken;
}
}
