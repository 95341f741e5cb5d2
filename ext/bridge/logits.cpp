#include "logits.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace pyl {

namespace {

constexpr int32_t BLOCK = 64;

// Ascending order in a heap: the front is the candidate that goes first when a better one comes.
bool is_better(const llama_token_data & a, const llama_token_data & b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

float largest(logits_row row) {
    // NaN compares as false, and so is passed over.
    float best = -std::numeric_limits<float>::infinity();
    for (int32_t i = 0; i < row.n_vocab; ++i) {
        best = row.data[i] > best ? row.data[i] : best;
    }
    return best;
}

}  // namespace

llama_token argmax(logits_row row) {
    // PERF: the maximum first, without its index: that loop vectorises, std::max_element's does not.
    const float best = largest(row);
    for (int32_t i = 0; i < row.n_vocab; ++i) {
        if (row.data[i] == best) {
            return i;
        }
    }
    throw std::runtime_error("the logits hold no number");
}

void top_candidates(logits_row row, int32_t k, std::vector<llama_token_data> & top) {
    top.clear();
    const size_t n_wanted  = static_cast<size_t>(std::min(k, row.n_vocab));
    float        threshold = -std::numeric_limits<float>::infinity();
    const auto   take      = [&](llama_token id) {
        if (top.size() == n_wanted) {
            std::pop_heap(top.begin(), top.end(), is_better);
            top.pop_back();
        }
        top.push_back({ id, row.data[id], 0.0f });
        std::push_heap(top.begin(), top.end(), is_better);
        if (top.size() == n_wanted) {
            threshold = top.front().logit;
        }
    };
    for (int32_t start = 0; start < row.n_vocab; start += BLOCK) {
        const int32_t end = std::min(start + BLOCK, row.n_vocab);
        // PERF: a block without a candidate, which is nearly every one, costs one vectorised look.
        int has_candidate = 0;
        for (int32_t i = start; i < end; ++i) {
            has_candidate |= row.data[i] > threshold;
        }
        for (int32_t i = start; has_candidate && i < end; ++i) {
            if (row.data[i] > threshold) {
                take(i);
            }
        }
    }
    std::sort_heap(top.begin(), top.end(), is_better);
}

void all_candidates(logits_row row, std::vector<llama_token_data> & all) {
    all.resize(row.n_vocab);
    for (int32_t i = 0; i < row.n_vocab; ++i) {
        all[i] = { i, row.data[i], 0.0f };
    }
}

double log_normalizer(logits_row row) {
    const float best   = largest(row);
    double      sum[4] = {};
    for (int32_t i = 0; i < row.n_vocab; ++i) {
        sum[i & 3] += std::exp(row.data[i] - best);
    }
    return best + std::log(sum[0] + sum[1] + sum[2] + sum[3]);
}

}  // namespace pyl
