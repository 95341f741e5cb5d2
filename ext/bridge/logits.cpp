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

// Whether any of up to BLOCK logits is above a threshold. NaN compares as false.
// PERF: the one look at a block without a candidate, which is nearly every block; it vectorises.
bool has_above(const float * logits, int32_t n, float threshold) {
    int found = 0;
    for (int32_t i = 0; i < n; ++i) {
        found |= logits[i] > threshold;
    }
    return found != 0;
}

}  // namespace

llama_token argmax(logits_row row) {
    llama_token best      = LLAMA_TOKEN_NULL;
    float       threshold = -std::numeric_limits<float>::infinity();
    for (int32_t start = 0; start < row.n_vocab; start += BLOCK) {
        const int32_t end = std::min(start + BLOCK, row.n_vocab);
        if (!has_above(row.data + start, end - start, threshold)) {
            continue;
        }
        for (int32_t i = start; i < end; ++i) {
            if (row.data[i] > threshold) {
                best      = i;
                threshold = row.data[i];
            }
        }
    }
    if (best == LLAMA_TOKEN_NULL) {
        throw std::runtime_error("the logits hold no number");
    }
    return best;
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
        if (!has_above(row.data + start, end - start, threshold)) {
            continue;
        }
        for (int32_t i = start; i < end; ++i) {
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
    const float best = row.data[argmax(row)];
    double      sum  = 0.0;
    for (int32_t i = 0; i < row.n_vocab; ++i) {
        // NaN compares as false, and so counts as minus infinity.
        sum += row.data[i] <= best ? std::exp(row.data[i] - best) : 0.0f;
    }
    return best + std::log(sum);
}

}  // namespace pyl
