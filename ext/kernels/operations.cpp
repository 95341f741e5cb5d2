#include "operations.h"

#include "attention.h"
#include "cpu_backend.h"
#include "matmul.h"
#include "pack.h"

#include <algorithm>
#include <vector>

// The header declares these classes, and ggml's library that we do not link defines their destructors.
namespace ggml::cpu {
tensor_traits::~tensor_traits() = default;
}  // namespace ggml::cpu

namespace pyl::kernels {

namespace {

size_t align(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

void * aligned(void * data) {
    return reinterpret_cast<void *>(align(reinterpret_cast<size_t>(data)));
}

class matmul_traits : public ggml::cpu::tensor_traits {
  public:
    bool work_size(int n_threads, const ggml_tensor * op, size_t & size) override;
    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override;

  private:
    // Up to so much input each thread rounds all of it for itself: sooner done than a barrier.
    static constexpr int64_t GROUPS_OF_OWN = 256;
    // Input rows that are multiplied with one pack after the other while they are in the cache.
    static constexpr int64_t BYTES_AT_A_TIME = 256 * 1024;
};

int64_t input_rows(const ggml_tensor * op) {
    return ggml_nrows(op->src[1]);
}

int64_t input_groups(const ggml_tensor * op) {
    return op->src[1]->ne[0] / GROUP;
}

const float * input_row(const ggml_tensor * op, int64_t row) {
    const ggml_tensor * x = op->src[1];
    const int64_t       i = row / x->ne[1];
    return reinterpret_cast<const float *>(
        static_cast<const char *>(x->data) + row % x->ne[1] * x->nb[1] + i % x->ne[2] * x->nb[2] +
        i / x->ne[2] * x->nb[3]);
}

float * output_row(const ggml_tensor * op, int64_t row) {
    const int64_t i = row / op->ne[1];
    return reinterpret_cast<float *>(
        static_cast<char *>(op->data) + row % op->ne[1] * op->nb[1] + i % op->ne[2] * op->nb[2] +
        i / op->ne[2] * op->nb[3]);
}

bool matmul_traits::work_size(int n_threads, const ggml_tensor * op, size_t & size) {
    const int64_t n      = input_rows(op) * input_groups(op);
    const int     copies = n <= GROUPS_OF_OWN ? n_threads : 1;
    size                 = size_t(copies) * align(size_t(n) * sizeof(input_group)) + 64;
    return true;
}

bool matmul_traits::compute_forward(ggml_compute_params * params, ggml_tensor * op) {
    const matmul_kernel & kernel   = *matmul_avx512(op->src[0]->type);
    const int64_t         n_rows   = input_rows(op);
    const int64_t         n_groups = input_groups(op);
    const int64_t         n_packs  = op->src[0]->ne[1] / ROWS;
    const size_t          pack     = packed_size(op->src[0]) / size_t(n_packs);
    const bool            is_own   = n_rows * n_groups <= GROUPS_OF_OWN;
    const size_t          bytes    = align(size_t(n_rows * n_groups) * sizeof(input_group));
    auto * const          input    = reinterpret_cast<input_group *>(
        static_cast<char *>(aligned(params->wdata)) + (is_own ? size_t(params->ith) * bytes : 0));

    for (int64_t row = is_own ? 0 : params->ith; row < n_rows; row += is_own ? 1 : params->nth) {
        kernel.quantize(input_row(op, row), input + row * n_groups, n_groups * GROUP, kernel.zero);
    }
    const auto multiply = [&](int64_t first, int64_t last) {
        const int64_t n_most =
            std::max<int64_t>(8, BYTES_AT_A_TIME / int64_t(sizeof(input_group)) / n_groups / 8 * 8);
        std::vector<float *> outputs;
        for (int64_t row = 0; row < n_rows; row += n_most) {
            outputs.clear();
            for (int64_t r = row; r < std::min(row + n_most, n_rows); ++r) {
                outputs.push_back(output_row(op, r));
            }
            for (int64_t p = first; p < last; ++p) {
                kernel.multiply(
                    static_cast<const char *>(op->src[0]->data) + size_t(p) * pack, input + row * n_groups,
                    n_groups * GROUP, int64_t(outputs.size()), outputs.data(), p * ROWS);
            }
        }
    };
    if (is_own) {
        multiply(n_packs * params->ith / params->nth, n_packs * (params->ith + 1) / params->nth);
        return true;
    }
    backend().gather(params);
    const int64_t n_chunks = std::min<int64_t>(n_packs, int64_t(params->nth) * 8);
    backend().share(
        params, n_chunks, [&](int64_t i) { multiply(n_packs * i / n_chunks, n_packs * (i + 1) / n_chunks); });
    return true;
}

class attention_traits : public ggml::cpu::tensor_traits {
  public:
    bool work_size(int n_threads, const ggml_tensor * op, size_t & size) override;
    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override;
};

bool attention_traits::work_size(int n_threads, const ggml_tensor * op, size_t & size) {
    const attention_plan plan(op, n_threads);
    // More than ggml's own code takes of it, which computes the operation where the reference is asked for.
    size = 64 + align(plan.partial_floats * sizeof(float)) +
           size_t(n_threads) * align(plan.scratch.size * sizeof(float));
    return true;
}

bool attention_traits::compute_forward(ggml_compute_params * params, ggml_tensor * op) {
    if (params->use_ref) {
        return false;
    }
    const attention_plan plan(op, params->nth);
    auto * const         partials = static_cast<float *>(aligned(params->wdata));
    auto * const         scratch  = reinterpret_cast<float *>(
        reinterpret_cast<char *>(partials) + align(plan.partial_floats * sizeof(float)) +
        size_t(params->ith) * align(plan.scratch.size * sizeof(float)));
    backend().gather(params);
    backend().share(params, plan.n_units, [&](int64_t unit) {
        attention_unit_avx512(op, plan, unit, scratch, partials);
    });
    if (plan.n_splits == 1) {
        return true;
    }
    backend().barrier(params->threadpool);
    const int64_t n_indices = plan.n_queries * op->src[1]->ne[2] * op->src[0]->ne[3];
    for (int64_t i = params->ith; i < n_indices; i += params->nth) {
        attention_merge_avx512(op, plan, i, partials);
    }
    return true;
}

}  // namespace

ggml::cpu::tensor_traits & matmul_operation() {
    static matmul_traits operation;
    return operation;
}

ggml::cpu::tensor_traits & attention_operation() {
    static attention_traits operation;
    return operation;
}

}  // namespace pyl::kernels
